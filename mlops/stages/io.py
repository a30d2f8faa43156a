"""What the stages read and write: parameters, tables with the facts that travel with them."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.config.paths import (
    PARAMS,
)
from mlops.config.project_folder import load_params
from mlops.errors import ConfigError, StageError
from mlops.files.formats import check_table
from mlops.schema import Schema
from mlops.tables.conform import conform

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["FORMAT", "builder_source", "log", "read_params", "read_rows", "window", "write"]

log = logging.getLogger("mlops")

FORMAT = 1
"""Of a table that one stage writes for the next."""


def read_params(root: Path) -> Params:
    """Return the params.yaml of a project."""
    return load_params(root / PARAMS)


def builder_source(root: Path, params: Params) -> bytes:
    """Return the text of the project's model module.

    Raises
    ------
    ConfigError
        ``model.builder`` is no file.
    """
    path = root / params.model.builder
    if not path.is_file():
        raise ConfigError("model.builder", value=params.model.builder, allowed="a file of the project")
    return path.read_bytes()


def window(start: datetime | None, end: datetime | None, rows: int) -> dict[str, Any]:
    """Return a window of rows as a JSON value."""
    return {"start": start and start.isoformat(), "end": end and end.isoformat(), "rows": rows}


def read_rows(path: Path, schema: Schema) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows that a stage wrote, and the facts that travel with them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        check_table(table.schema, FORMAT, file=path)
        facts = json.loads((table.schema.metadata or {})[b"mlops"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as exc:
        raise StageError(
            f"{path} was not written by the stage before: {exc}.", remedy="Run `dvc repro`."
        ) from exc
    return conform(table.to_pandas(), schema), facts


def write(path: Path, data: bytes) -> None:
    """Write an output of a stage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
