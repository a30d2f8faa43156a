"""What `mlops predict` does: a table through the deployed model, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops.deployment.client import Client, records
from mlops.project.context import Project
from mlops.project.health import check_running
from mlops.tables.readers import read_table

__all__ = ["predict_table"]


def predict_table(project: Project, file: Path, *, batch: int) -> Iterator[list[dict[str, Any]]]:
    """Give the deployed model's predictions for a table, in row order, a list a request.

    Raises
    ------
    DataError
        The table lacks a feature, or holds a value of another type.
    UnavailableError
        The project serves no model.
    """
    schema = project.serving_schema
    table = read_table(file, schema)
    records(table.head(batch), schema)  # an invalid table is reported before any request
    check_running(
        project, "gateway", remedy="Start it with `mlops up`, and deploy a model with `mlops deploy`."
    )
    with Client(project.folder.address) as client:
        most = project.params.deploy
        batch = min(batch, most.max_rows)
        yield from client.predict_frame(table, schema, batch=batch, most_bytes=most.max_body)
