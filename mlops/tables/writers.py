"""Write a table to a file: either the whole file, or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from mlops.errors import DataError, MlopsError, UsageError
from mlops.feature_types.cells import jsonable
from mlops.files import atomic

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Destination", "check"]


class Destination:
    """A file that is written batch by batch beside its path, then moved there at once.

    A later writer removes what a killed one left.

    Parameters
    ----------
    types
        The known types of columns; the others have the types of the first batch.
    """

    def __init__(self, path: Path, types: pa.Schema | None = None) -> None:
        self.path = path
        self._partial = atomic.temporary(path)
        self._types = types
        self._file: IO[bytes] | None = None
        self._writer: _Writer | None = None

    def write(self, frame: pd.DataFrame) -> None:
        """Add rows.

        Raises
        ------
        DataError
            A value does not fit its column, or a column was not in the first batch.
        MlopsError
            The file cannot be written.
        """
        with self._translated():
            if self._file is None:
                self._partial.parent.mkdir(parents=True, exist_ok=True)
                atomic.sweep(self.path.parent, self.path.name)
                self._file = self._partial.open("wb")
            if self._writer is None:
                self._writer = _WRITERS[self.path.suffix](self._file, frame, self._types)
            self._writer.write(frame)

    def close(self) -> None:
        """Finish the file; it is on the disk when this returns."""
        with self._translated():
            if self._writer is not None:
                self._writer.close()
            if self._file is not None and not self._file.closed:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()

    def publish(self) -> None:
        """Put the finished file in its place, instead of what is there."""
        with self._translated():
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Remove what was written and not published."""
        with suppress(Exception):  # where the disk is full, to end the file fails as well
            self.close()
        with suppress(OSError):
            self._partial.unlink()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise MlopsError(
                f"{self.path} cannot be written: {exc.strerror or exc}.",
                remedy="Check its folder and the disk's space.",
            ) from exc


def check(path: Path) -> None:
    """Refuse a path whose suffix is not of a format that can be written.

    Raises
    ------
    UsageError
        It is not.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(
            f"{path} is not a table: unknown suffix.",
            remedy="Name a file that ends in .parquet, .csv or .jsonl, or a folder.",
        )


class _Writer(Protocol):
    def __init__(self, file: IO[bytes], first: pd.DataFrame, types: pa.Schema | None) -> None: ...

    def write(self, frame: pd.DataFrame) -> None: ...

    def close(self) -> None: ...


class _Parquet:
    def __init__(self, file: IO[bytes], first: pd.DataFrame, types: pa.Schema | None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = {field.name: field.type for field in types or ()}
        with _named(first):
            inferred = pa.Table.from_pandas(first, preserve_index=False).schema
        # A column without any value yet could still turn out to be text.
        guessed = {f.name: pa.string() if pa.types.is_null(f.type) else f.type for f in inferred}
        self._schema = pa.schema([(name, known.get(name, guessed[name])) for name in guessed])
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa

        frame = _laid_out(frame, self._schema.names)
        with _named(frame):
            table = pa.Table.from_pandas(frame, schema=self._schema, preserve_index=False)
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, file: IO[bytes], first: pd.DataFrame, _types: pa.Schema | None) -> None:
        self._file = file
        self._columns = list(first.columns)
        first.head(0).to_csv(file, index=False)

    def write(self, frame: pd.DataFrame) -> None:
        _laid_out(frame, self._columns).to_csv(self._file, index=False, header=False)

    def close(self) -> None:
        pass


class _JsonLines:
    def __init__(self, file: IO[bytes], _first: pd.DataFrame, _types: pa.Schema | None) -> None:
        self._file = file

    def write(self, frame: pd.DataFrame) -> None:
        import orjson

        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        plain = frame.astype(object).where(frame.notna(), None)
        try:
            for record in plain.to_dict("records"):
                self._file.write(orjson.dumps(record, default=_jsonable, option=options))
        except orjson.JSONEncodeError as exc:
            raise DataError(
                f"A value cannot be written as JSON: {exc}.", remedy="Write a .parquet file instead."
            ) from exc

    def close(self) -> None:
        pass


_WRITERS: dict[str, type[_Writer]] = {".parquet": _Parquet, ".csv": _Csv, ".jsonl": _JsonLines}


def _laid_out(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the columns in the file's order; one that a batch of records lacks is empty there."""
    if new := [str(name) for name in frame.columns if name not in columns]:
        raise DataError(
            f"The column {new[0]} begins after row {frame.index[0]}: the rows before it have none.",
            remedy="Write a .jsonl file instead, or give every row the same fields.",
        )
    return frame.reindex(columns=columns)


@contextmanager
def _named(frame: pd.DataFrame) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        problem = " ".join(str(part) for part in exc.args)
        raise DataError(
            f"A column does not have one type from row {frame.index[0]} on: {problem}.",
            remedy="Write a .jsonl file instead, or correct the column.",
        ) from exc


def _jsonable(value: Any) -> Any:
    if isinstance(value, date | time | Decimal):
        return jsonable(value)
    raise TypeError(type(value).__name__)
