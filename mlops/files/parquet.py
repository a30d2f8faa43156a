"""Parquet files that are either whole and on the disk, or not there at all."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.files import atomic, formats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["gather", "to_arrow", "to_bytes", "write"]


def write(table: pa.Table, path: Path) -> None:
    """Write `table` to `path` so that no reader and no power loss ever sees a part of it."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replaced(path, durable=True) as partial:
        pq.write_table(table, partial, compression="zstd")


def gather(pieces: Iterable[pa.Table], path: Path) -> int:
    """Write tables as one file, each column with the type that all its values have; return the rows.

    A column that is empty in one piece and has values in another gets the type of those.

    Raises
    ------
    pyarrow.ArrowException
        The values of a column have no type in common.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, rows = atomic.temporary(path), 0
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for number, piece in enumerate(pieces):
            pq.write_table(piece.replace_schema_metadata(None), folder / f"{number:06d}", compression="zstd")
            rows += len(piece)
        files = sorted(folder.iterdir())
        schemas = [pq.read_schema(file) for file in files] or [pa.schema([])]
        schema = pa.unify_schemas(schemas, promote_options="permissive")
        whole = folder / "whole"
        with pq.ParquetWriter(whole, schema, compression="zstd") as writer:
            for file in files:
                piece = pq.read_table(file)
                for field in (field for field in schema if field.name not in piece.column_names):
                    piece = piece.append_column(field, pa.nulls(len(piece), field.type))
                writer.write_table(piece.select(schema.names).cast(schema))
        whole.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def to_arrow(frame: pd.DataFrame, facts: Any = None) -> pa.Table:
    """Return the frame as a table whose bytes, written, depend on its rows alone.

    Parameters
    ----------
    facts
        A JSON value to keep in the metadata under ``mlops``.
    """
    import pyarrow as pa

    arrays = [pa.array(frame[name], from_pandas=True) for name in frame.columns]
    table = pa.table(dict(zip(frame.columns, arrays, strict=True)))
    metadata = {"mlops": json.dumps(facts, sort_keys=True)} if facts is not None else None
    return table.replace_schema_metadata(metadata)


def to_bytes(
    frame: pd.DataFrame, facts: Mapping[str, Any] | None = None, *, format: int | None = None
) -> bytes:
    """Return the frame as Parquet: the same rows, the same bytes.

    Parameters
    ----------
    facts
        A JSON value to keep in the file's metadata under ``mlops``.
    format
        The version that the file bears.
    """
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    table = to_arrow(frame, facts)
    pq.write_table(table if format is None else formats.stamped(table, format), sink, compression="zstd")
    return sink.getvalue()
