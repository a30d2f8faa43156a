"""Labels for served predictions, as `mlops labels add` adds them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from mlops.errors import UsageError
from mlops.prediction_log import label_log, reader
from mlops.project.context import Project
from mlops.tables.readers import read_table

__all__ = ["add_labels"]


def add_labels(project: Project, file: Path, *, by: str, skip_unknown: bool) -> label_log.Added:
    """Add a table of labels for served predictions.

    Raises
    ------
    UnknownLabelsError
        Some name an id or key that no prediction has, and `skip_unknown` is not set;
        nothing was added.
    """
    if by not in {"id", "key"}:
        raise UsageError(f"--by: got {by!r}.", remedy="Choose key or id.")
    kind = cast('Literal["id", "key"]', by)
    return label_log.add(
        project.folder.labels,
        read_table(file, project.schema, labelled=True),
        by=kind,
        schema=project.schema,
        known=reader.ids(project.folder.predictions, by=kind),
        classes=project.bundle_of(project.promotion).model.classes if project.promotion else None,
        skip_unknown=skip_unknown,
        at=datetime.now(UTC),
    )
