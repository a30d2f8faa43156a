"""The lake: every row ever ingested, in Parquet partitions by the month of its event time.

`append` only ever adds files, so DVC versions a batch by hashing that batch alone; where a
key comes again, the later batch wins on reading.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import fingerprint
from mlops.errors import DataError, MissingColumnError, shown
from mlops.schema import Columns, Kind, Schema, Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Appended", "Lake", "columns_of", "conform", "labels", "records", "write_parquet"]

_TIMELESS = "all"
_LABELS: Mapping[str, type] = {"boolean": bool, "integer": int, "string": object, "empty": object}
_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal", "empty")


@dataclass(frozen=True)
class Appended:
    """What an append did: rows and files added, rows left out because their file was there."""

    rows: int
    files: tuple[str, ...]
    skipped: int


@dataclass(frozen=True)
class Lake:
    """A folder of partitions, `<YYYY-MM>/<batch>-<content>.parquet`."""

    path: Path

    def append(self, frame: pd.DataFrame, schema: Schema) -> Appended:
        """Add a batch; the same batch a second time adds nothing.

        Parameters
        ----------
        frame
            Holds the schema's columns; others stay out of the lake.

        Raises
        ------
        MissingColumnError
            A column of the schema is not in the frame.
        DataError
            A value is of the wrong type; the column and the value are named.
        """
        batch = conform(frame, schema)
        order = [name for name in (schema.time, schema.key) if name]
        if order:
            batch = batch.sort_values(order, kind="stable")
        held = self._held()
        number = 1 + max((_batch_of(name) for names in held.values() for name in names), default=0)
        rows, skipped, files = 0, 0, []
        for month, part in _months(batch, schema):
            data = write_parquet(part)
            digest = fingerprint.of_bytes(data)[:16]
            if any(name.endswith(f"-{digest}.parquet") for name in held.get(month, ())):
                skipped += len(part)
                continue
            name = f"{month}/{number:06d}-{digest}.parquet"
            self._put(name, data)
            files.append(name)
            rows += len(part)
        return Appended(rows, tuple(files), skipped)

    def read(
        self, schema: Schema, start: datetime | None = None, end: datetime | None = None
    ) -> pd.DataFrame:
        """Return the rows in [start, end) of event time, one per key, in order of time and key.

        Columns are as `conform` leaves them. A schema without time has no window.

        Raises
        ------
        DataError
            The lake is empty.
        MissingColumnError
            A partition lacks a column that the schema names.
        """
        import pandas as pd

        files = self._files(start, end)
        if not files:
            raise DataError(f"The lake {self.path} holds no rows.", remedy="Add some: `mlops ingest FILE`.")
        frame = conform(_read_parquet(self.path, files, schema), schema)
        if schema.key:
            frame = frame.drop_duplicates(schema.key, keep="last")
        if schema.time:
            times = frame[schema.time]
            wanted = pd.Series(True, index=frame.index)
            wanted &= times >= _utc(start) if start else True
            wanted &= times < _utc(end) if end else True
            frame = frame[wanted]
        order = [name for name in (schema.time, schema.key) if name]
        frame = frame.sort_values(order, kind="stable") if order else frame
        return frame.reset_index(drop=True)

    def digest(self) -> str:
        """Hash the content as DVC names a folder: an md5 over the md5 of its files, and ``.dir``."""
        entries = [{"md5": _md5(self.path / name), "relpath": name} for name in sorted(self._files())]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"

    def _held(self) -> dict[str, list[str]]:
        """Names of files by month, from the folders' entries alone: quick with many partitions."""
        if not self.path.is_dir():
            return {}
        months = (entry for entry in self.path.iterdir() if entry.is_dir())
        return {month.name: [file.name for file in month.glob("*.parquet")] for month in months}

    def _files(self, start: datetime | None = None, end: datetime | None = None) -> list[str]:
        """Paths in the order their rows win: by batch, then by name."""
        first = f"{_utc(start):%Y-%m}" if start else ""
        last = f"{_utc(end):%Y-%m}" if end else "~"
        found = [
            (name, month)
            for month, names in self._held().items()
            if month == _TIMELESS or first <= month <= last
            for name in names
        ]
        return [f"{month}/{name}" for name, month in sorted(found)]

    def _put(self, name: str, data: bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the lake, not in it: what a killed process leaves must not be versioned.
        staged = self.path.with_name(f".{self.path.name}-{target.name}.tmp")
        staged.write_bytes(data)
        staged.replace(target)


def conform(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the schema's columns with the types that the model sees.

    Number and boolean: float64, NaN where missing. Category: str, "" where missing. Target:
    float64 for a regression, else plain labels or None. Time: UTC. Key: str.

    Raises
    ------
    MissingColumnError
        A column of the schema is not in the frame.
    DataError
        A value cannot be used; its column and the first such value are named.
    """
    import pandas as pd

    named = [*schema.features, schema.target, *(name for name in (schema.time, schema.key) if name)]
    if missing := [name for name in named if name not in frame.columns]:
        raise MissingColumnError(missing, have=[str(name) for name in frame.columns], where="The table")
    columns: dict[str, Any] = {}
    for name, kind in schema.features.items():
        columns[name] = _feature(frame[name], kind)
    columns[schema.target] = labels(frame[schema.target], schema.task)
    if schema.time:
        columns[schema.time] = _times(frame[schema.time])
    if schema.key:
        columns[schema.key] = _keys(frame[schema.key])
    return pd.DataFrame(columns, index=frame.index)


def columns_of(frame: pd.DataFrame, schema: Schema) -> Columns:
    """Return a conformed frame's features as a predictor takes them."""
    return {name: frame[name].to_numpy() for name in schema.features}


def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """Return a conformed frame's features as the records of a request, null where missing."""
    plain: dict[str, list[Any]] = {}
    for name, kind in schema.features.items():
        values = frame[name].tolist()
        if kind == "category":
            plain[name] = [value or None for value in values]
        else:
            plain[name] = [
                None if value != value else bool(value) if kind == "boolean" else value for value in values
            ]
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def labels(column: pd.Series[Any], task: Task) -> pd.Series[Any]:
    """Return a target column with one type: float64 for a regression, else plain labels or None.

    A label is a bool, an int or a str, the same however the file spelled it: 1.0 beside an
    empty cell is the label 1.

    Raises
    ------
    DataError
        Labels are fractions, or of several types.
    """
    import pandas as pd

    if task == "regression":
        return _number(column)
    known = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    kind = pd.api.types.infer_dtype(values[known])
    if kind in ("floating", "mixed-integer-float"):
        wrong = known.copy()
        wrong[known] = [not float(value).is_integer() for value in values[known]]
        _refuse(column, wrong, "a label: those are true and false, whole numbers or text")
    elif kind not in _LABELS:
        found = sorted({type(value).__name__ for value in values[known]})
        raise DataError(
            f"{column.name} holds labels of the types {shown(found)}.",
            remedy="Spell each label the same way in every row: true and false, whole numbers or text.",
        )
    plain = np.full(len(values), None, dtype=object)
    plain[known] = values[known].astype(_LABELS.get(kind, int)).astype(object)
    return pd.Series(plain, index=column.index, name=column.name, dtype=object)


def write_parquet(frame: pd.DataFrame, facts: Mapping[str, Any] | None = None) -> bytes:
    """Return the frame as Parquet: the same rows, the same bytes.

    Parameters
    ----------
    facts
        A JSON value to keep in the file's metadata under ``mlops``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [pa.array(frame[name], from_pandas=True) for name in frame.columns]
    table = pa.table(dict(zip(frame.columns, arrays, strict=True)))
    metadata = {"mlops": json.dumps(facts, sort_keys=True)} if facts is not None else None
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def _read_parquet(folder: Path, files: list[str], schema: Schema) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    named = [*schema.features, schema.target, *(name for name in (schema.time, schema.key) if name)]
    tables: list[pa.Table] = []
    for name in files:
        try:
            table = pq.read_table(folder / name)
        except (OSError, pa.ArrowInvalid) as exc:
            raise DataError(
                f"{folder / name} cannot be read: {exc}", remedy="Restore it: `dvc checkout`."
            ) from exc
        if missing := [column for column in named if column not in table.column_names]:
            raise MissingColumnError(missing, have=table.column_names, where=str(folder / name))
        tables.append(table.select(named))
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def _months(batch: pd.DataFrame, schema: Schema) -> Iterator[tuple[str, pd.DataFrame]]:
    if schema.time is None:
        yield _TIMELESS, batch
        return
    times = batch[schema.time].dt
    for (year, month), part in batch.groupby([times.year, times.month], sort=True):
        yield f"{year:04d}-{month:02d}", part


def _feature(column: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    if kind == "category":
        return _text(column)
    return _number(column) if kind == "number" else _truth(column)


def _number(column: pd.Series[Any]) -> pd.Series[Any]:
    from pandas.api import types

    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        if types.infer_dtype(column, skipna=True) not in _NUMERIC:
            _refuse(column, column.notna() & ~column.map(_is_number).astype(bool), "a number")
        column = column.astype("object")
    numbers = column.astype("float64")
    _refuse(column, np.isinf(numbers), "a finite number")
    return numbers


def _truth(column: pd.Series[Any]) -> pd.Series[Any]:
    _refuse(column, column.notna() & ~column.isin([True, False]), "true or false")
    return column.astype("object").astype("float64")


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    from pandas.api import types

    kind = types.infer_dtype(column, skipna=True)
    if kind in ("boolean", "datetime64", "datetime"):
        _refuse(column, column.notna(), "text")
    text = column.astype("object")
    if kind not in ("string", "empty"):
        # A code read as 7.0, because another cell was empty, is the category "7".
        text = text.map(lambda value: str(int(value)) if _is_whole(value) else str(value))
    return text.where(column.notna(), "")


def _times(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    times = column
    if pd.api.types.is_numeric_dtype(column.dtype):  # a count since when, and of what?
        times = pd.Series(pd.NaT, index=column.index)
    elif not isinstance(column.dtype, pd.DatetimeTZDtype):
        times = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    _refuse(column, times.isna(), "a time such as 2013-07-04T15:00:00Z")
    return times.astype("datetime64[us, UTC]")


def _keys(column: pd.Series[Any]) -> pd.Series[Any]:
    keys = _text(column)
    _refuse(column, keys == "", "a key")
    return keys


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _refuse(column: pd.Series[Any], wrong: Any, allowed: str) -> None:
    if not wrong.any():
        return
    position = int(np.argmax(np.asarray(wrong)))
    value = column.iloc[position]
    plain = value.item() if isinstance(value, np.generic) else value
    raise DataError(
        f"{column.name} holds {plain!r} in row {position}, which is not {allowed}.",
        remedy="Correct the table, or what params.yaml says of the column.",
    )


def _batch_of(name: str) -> int:
    return int(name.partition("-")[0])


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
