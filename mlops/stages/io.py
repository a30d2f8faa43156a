"""What the stages read and write: parameters, tables with the facts that travel with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.consistency import RowRate
from mlops.config.params import Params
from mlops.config.paths import HOLDOUT, PARAMS, TRAIN
from mlops.config.project_folder import load_params
from mlops.errors import ConfigError, StageError
from mlops.files.formats import check_table
from mlops.schema import Schema
from mlops.tables.conform import conform

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "builder_source",
    "holdout_rate",
    "log",
    "read_params",
    "read_rows",
    "read_table",
    "window",
    "write",
    "written_by",
]

log = logging.getLogger("mlops")

FORMAT = 1
"""Of what one stage writes for the next."""


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
    with written_by("before", path):
        table, facts = read_table(path)
    return conform(table.to_pandas(), schema), facts


def read_table(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return a table that a stage wrote, of the known format, and the facts that travel with it."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    check_table(table.schema, FORMAT, file=path)
    return table, json.loads((table.schema.metadata or {})[b"mlops"])


@contextmanager
def written_by(stage: str, path: Path) -> Iterator[None]:
    """Say of a file that is not there, or cannot be read, which stage writes it.

    Raises
    ------
    StageError
        Reading it failed.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, KeyError, ValueError, pa.ArrowException) as exc:
        raise StageError(
            f"{path} was not written by the stage {stage}: {exc}.", remedy="Run `dvc repro`."
        ) from exc


def holdout_rate(root: Path) -> RowRate | None:
    """Return how many labelled rows the last training held out, over what time; None before the first.

    Only the files' metadata is read.
    """
    try:
        held_out = _facts(root / HOLDOUT)["window"]
        if held_out["start"] is None:
            return RowRate(int(_facts(root / TRAIN)["window"]["rows"]))
        start, end = (datetime.fromisoformat(held_out[edge]) for edge in ("start", "end"))
    except (OSError, KeyError, ValueError):
        return None  # the stage writes it again
    return RowRate(int(held_out["rows"]), end - start)


def _facts(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    facts: dict[str, Any] = json.loads((pq.read_schema(path).metadata or {})[b"mlops"])
    return facts


def write(path: Path, data: bytes) -> None:
    """Write an output of a stage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
