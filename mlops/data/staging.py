"""A batch on its way into the lake: written part by part beside it, shown whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.files import hashing
from mlops.files.formats import stamped
from mlops.files.parquet import to_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["FORMAT", "Part", "Staging"]

FORMAT = 1
"""Of a file of the lake."""

_TIMELESS = "all"
"""The partition of rows that have no time."""

_OPEN = 100
"""Files written at once; a batch of more months has several of one."""


@dataclass(frozen=True)
class Part:
    """The rows of one month, in a file that is not in the lake yet."""

    month: str
    digest: str
    rows: int
    file: Path


class Staging:
    """A folder that a batch is written into, a Parquet file a month.

    What a killed process left there is removed at the start; git does not see it.

    Parameters
    ----------
    origin
        Where its rows come from, in the metadata of its files: of two origins the same rows are other files.
    """

    def __init__(self, folder: Path, *, origin: str = "") -> None:
        self._folder = folder
        self._origin = origin
        self._open: dict[str, tuple[pq.ParquetWriter, Path]] = {}
        self._rows: dict[Path, tuple[str, int]] = {}
        self._parts: list[Part] | None = None

    def __enter__(self) -> Staging:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        (self._folder / ".gitignore").write_text("*\n", "utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    def write(self, frame: pd.DataFrame, time: str | None) -> None:
        """Write conformed rows, each to the file of its month."""
        for month, part in _months(frame, time):
            table = stamped(to_arrow(part), FORMAT)
            if self._origin:
                table = table.replace_schema_metadata(
                    {**(table.schema.metadata or {}), "origin": self._origin}
                )
            writer, file = self._writer(month, table.schema)
            writer.write_table(table)
            self._rows[file] = (month, self._rows.get(file, (month, 0))[1] + len(part))

    def parts(self) -> list[Part]:
        """Return what was written, by month; nothing can be written afterwards."""
        if self._parts is None:
            self._close()
            parts = [
                Part(month, hashing.of_file(file)[:16], rows, file)
                for file, (month, rows) in self._rows.items()
            ]
            self._parts = sorted(parts, key=lambda part: (part.month, part.file.name))
        return self._parts

    def _writer(self, month: str, schema: pa.Schema) -> tuple[pq.ParquetWriter, Path]:
        import pyarrow.parquet as pq

        if month in self._open and not self._open[month][0].schema.equals(schema):
            # A column had no value so far, and so no type.
            self._open.pop(month)[0].close()
        if month not in self._open:
            if len(self._open) >= _OPEN:
                self._close()
            file = self._folder / f"{month}-{len(self._rows):06d}.parquet"
            self._open[month] = pq.ParquetWriter(file, schema, compression="zstd"), file
        return self._open[month]

    def _close(self) -> None:
        for writer, _ in self._open.values():
            writer.close()
        self._open.clear()


def _months(batch: pd.DataFrame, time: str | None) -> Iterator[tuple[str, pd.DataFrame]]:
    if time is None:
        yield _TIMELESS, batch
        return
    times = batch[time].dt
    for (year, month), part in batch.groupby([times.year, times.month], sort=True):
        yield f"{year:04d}-{month:02d}", part
