"""What `mlops data diff` does: compare two versions of the data. Imports neither Prefect nor MLflow."""

from __future__ import annotations

import logging

from mlops.adapters.dvc.tree import DvcTree
from mlops.config.paths import LAKE
from mlops.data.diff import Difference, compare
from mlops.data.snapshot import Snapshot
from mlops.project.context import Project
from mlops.project.data_log import Chosen

log = logging.getLogger("mlops")

__all__ = ["diff"]


def diff(project: Project, before: Chosen, after: Chosen) -> Difference:
    """Compare two versions of the lake; both are read from DVC's cache, and the tree stays as it is.

    What the cache lacks or holds altered comes from the DVC remote.

    Raises
    ------
    DataError
        Neither has it.
    """
    store = DvcTree(project.folder.root).store()
    listed = [store.files(chosen.version.md5, LAKE) for chosen in (before, after)]
    store.ensure({md5: f"{LAKE}/{name}" for held in listed for name, md5 in held.items()})
    schema, rule = project.schema, project.params.data.on_duplicate
    old, new = (
        Snapshot(
            {name: store.objects(md5) for name, md5 in held.items()},
            time=schema.time,
            target=schema.target,
            on_duplicate=rule,
        )
        for held in listed
    )
    log.info("comparing %s rows with %s, column by column", f"{len(old):,}", f"{len(new):,}")
    return compare(old, new, project.schema)
