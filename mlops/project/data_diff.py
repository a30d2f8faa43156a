"""What `mlops data diff` does: compare two versions of the data. Imports neither Prefect nor MLflow."""

from __future__ import annotations

import logging

from mlops.data.diff import Difference, compare
from mlops.project.context import Project
from mlops.project.data_log import Chosen
from mlops.project.data_snapshot import snapshots

log = logging.getLogger("mlops")

__all__ = ["diff"]


def diff(project: Project, before: Chosen, after: Chosen) -> Difference:
    """Compare two versions of the lake; both are read from DVC's cache, and the tree stays as it is.

    Objects that are missing or corrupt in the cache are fetched from the DVC remote.

    Raises
    ------
    DataError
        Neither has it.
    """
    old, new = snapshots(project, before, after)
    log.info("comparing %s rows with %s, column by column", f"{len(old):,}", f"{len(new):,}")
    return compare(old, new, project.schema)
