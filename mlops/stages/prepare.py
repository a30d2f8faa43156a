"""Stage `prepare`: the lake as one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops.config.paths import (
    LAKE,
    PREPARED,
)
from mlops.data.lake import Lake
from mlops.files.parquet import to_bytes
from mlops.schema import Schema
from mlops.stages.io import FORMAT, log, read_params, write

if TYPE_CHECKING:
    pass

__all__ = ["prepare"]


def prepare(root: Path) -> None:
    """Read the lake: one row per key, checked and in order."""
    schema = Schema.from_params(read_params(root))
    lake = Lake(root / LAKE, read_params(root).data.on_duplicate)
    frame = lake.read(schema)
    if labelled := frame.attrs.pop("for_label"):
        log.info("%s rows with a label replace rows of the same key without one", f"{labelled:,}")
    for name, rows in frame.attrs.pop("incomplete").items():
        count = f"{rows:,} of {len(frame):,}"
        log.info("%s is missing in %s rows, which were ingested without it", name, count)
    # The version of the data travels with the rows: what is trained names what was read.
    write(root / PREPARED, to_bytes(frame, {"data": lake.digest()}, format=FORMAT))
