"""From a request's body to rows: pure, and unaware of HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import orjson

from mlops import moments
from mlops.errors import DataError, RowError
from mlops.rows import Columns, Rows, parse_rows
from mlops.schema import Schema

__all__ = ["Unpack", "invocation", "plain", "read", "rows"]

Record = Mapping[str, Any]
Unpack = Callable[[Any, Schema], list[Record]]
"""From a body's JSON value to one record per row, in one protocol's way."""


def read(body: bytes, unpack: Unpack, schema: Schema) -> list[Record]:
    """Return the records of a body, not yet checked against the schema.

    Raises
    ------
    DataError
        The body is not JSON, is not what the protocol asks for, or holds no row.
    RowError
        A value is NaN or infinite, which JSON does not have; it is named.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        _name_the_infinite(body, unpack, schema)
        raise DataError(f"The body is not JSON: {exc}.") from exc
    records = unpack(value, schema)
    if not records:
        raise DataError("The request has no rows.", remedy="Send at least one.")
    for row, record in enumerate(records):
        if type(record) is not dict:
            raise DataError(f"Row {row} is not an object.", remedy=_PLAIN)
    return records


def rows(records: Sequence[Record], schema: Schema) -> Rows:
    """Check records against the schema.

    Raises
    ------
    RowError
        A field is missing, of the wrong type, or a number beyond float32; row and field are named.
    """
    columns = parse_rows(records, schema)
    _refuse_beyond_float32(columns)
    return Rows(
        columns,
        served=[_served(record, schema) for record in records],
        keys=_each(records, schema.key, _key),
        times=_each(records, schema.time, _time),
    )


def _served(record: Record, schema: Schema) -> Record:
    """Return the features of a record as they are logged: its text read as that of a table is."""
    served = {name: record[name] for name in schema.features}
    return served | {name: read(served[name]) for name, read in schema.canonical.items()}


def plain(value: Any, _schema: Schema) -> list[Record]:
    """Unpack ``{"rows": [record, …]}``, a list of records, or one record."""
    rows = value.get("rows", [value]) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise DataError("The body has no list of rows.", remedy=_PLAIN)
    return rows


def invocation(value: Any, schema: Schema) -> list[Record]:
    """Unpack MLflow's protocol: dataframe_split, dataframe_records, instances or inputs."""
    forms = [name for name in _MLFLOW if isinstance(value, dict) and name in value]
    if len(forms) != 1:
        raise DataError(f"The body must be an object with one of {', '.join(_MLFLOW)}.")
    return _MLFLOW[forms[0]](value[forms[0]], schema)


_MOST = float(np.finfo(np.float32).max)
_PLAIN = 'Send {"rows": [{"field": value, …}, …]}, the list alone, or one row.'


def _split(value: Any, _schema: Schema) -> list[Record]:
    columns, data = (value.get(part) if isinstance(value, dict) else None for part in ("columns", "data"))
    if not isinstance(columns, list) or not isinstance(data, list):
        raise DataError("dataframe_split must be an object with the lists columns and data.")
    return _zipped([str(name) for name in columns], data)


def _records(value: Any, schema: Schema) -> list[Record]:
    if not isinstance(value, list):
        raise DataError("The rows must be a list.")
    if value and isinstance(value[0], list):
        return _zipped(list(schema.features), value)  # a tensor: as the model sees the columns
    return value


def _columns(value: Any, schema: Schema) -> list[Record]:
    if not isinstance(value, dict):
        return _records(value, schema)
    if not all(isinstance(column, list) for column in value.values()):
        raise DataError("Each column of inputs must be a list.")
    if len({len(column) for column in value.values()}) > 1:
        raise DataError("The columns of inputs are not of one length.")
    return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]


_MLFLOW: Mapping[str, Unpack] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _records,
    "inputs": _columns,
}


def _zipped(names: list[str], data: list[Any]) -> list[Record]:
    for row, values in enumerate(data):
        if not isinstance(values, list) or len(values) != len(names):
            raise DataError(f"Row {row} is not a list of {len(names)} values, one per column.")
    return [dict(zip(names, values, strict=True)) for values in data]


def _each(
    records: Sequence[Record], field: str | None, read: Callable[[Any, int, str], str | None]
) -> list[str | None]:
    if field is None:
        return [None] * len(records)
    return [read(record.get(field), row, field) for row, record in enumerate(records)]


def _key(value: Any, row: int, field: str) -> str | None:
    if value is None or type(value) is str:
        return value or None
    if type(value) is int:
        return str(value)
    raise RowError(f"Row {row}: {field} must be text, a whole number or null.", row=row, field=field)


def _time(value: Any, row: int, field: str) -> str | None:
    if value is None:
        return None
    try:
        return moments.from_text(value).isoformat()
    except (TypeError, ValueError, OverflowError):
        message = f"Row {row}: {field} must be a time such as 2013-07-04T15:00:00Z or null."
        raise RowError(message, row=row, field=field) from None


def _refuse_beyond_float32(columns: Columns) -> None:
    """Raise for a number that is infinite to a compiled model; whether this one is, no client knows."""
    beyond = np.abs(columns.numbers) > _MOST
    if beyond.any():
        row, position = np.argwhere(beyond)[0].tolist()
        name, value = columns.schema.numbers[position], columns.numbers[row, position]
        message = f"Row {row}: {name} is {value:g}; the limits are -{_MOST:.2g} and {_MOST:.2g}."
        raise RowError(message, row=row, field=name)


def _name_the_infinite(body: bytes, unpack: Unpack, schema: Schema) -> None:
    """Raise for the first NaN or infinity of a body that only a lenient reader takes."""
    try:
        records = unpack(json.loads(body), schema)
        named = ((row, *item) for row, record in enumerate(records) for item in _items(record))
        row, field, value = next(item for item in named if _infinite(item[2]))
    except (ValueError, RecursionError, DataError, StopIteration):
        return  # broken in another way
    name = field.encode(errors="backslashreplace").decode()  # half a surrogate pair, which no answer can hold
    message = f"Row {row}: {name} is {value}, which is not JSON. Send null for a missing value."
    raise RowError(message, row=row, field=name)


def _items(record: Any) -> Iterator[tuple[str, Any]]:
    yield from record.items() if isinstance(record, dict) else ()


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not isfinite(value)
