"""From a request's body to rows: pure, and unaware of HTTP."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import orjson

from mlops import moments
from mlops.errors import DataError, RowError
from mlops.rows import Columns, Rows, parse_rows
from mlops.schema import Schema

__all__ = [
    "MOST_CHARACTERS",
    "MOST_NUMBER",
    "TooLargeError",
    "Unpack",
    "check_shape",
    "invocation",
    "plain",
    "read",
    "rows",
]

Record = Mapping[str, Any]
Unpack = Callable[[Any, Schema], list[Record]]
"""From a body's JSON value to one record per row, in one protocol's way."""

MOST_CHARACTERS = 1024
"""Of a key or a category, unless training met a longer one."""
MOST_NUMBER = float(np.finfo(np.float32).max)
"""Beyond it a number is infinite to a compiled model."""


class TooLargeError(DataError):
    """The body would become more objects than the limits allow."""


def check_shape(body: bytes | bytearray, *, most_rows: int, fields: int) -> None:
    """Count a body's values before it is parsed: a few bytes of JSON may become a hundred of memory.

    Parameters
    ----------
    fields
        How many a row has; it may have others, which are ignored.

    Raises
    ------
    TooLargeError
        It has more objects and lists, or more values, than so many rows need.
    """
    most = _CONTAINERS_PER_ROW * most_rows + _ONCE
    most_values = max(_VALUES_PER_ROW, 4 * fields) * most_rows + _ONCE
    containers, values = _count(body)
    if containers <= most and values <= most_values:
        return
    containers = values = 0
    for outside in _outside_texts(body):  # within texts they count for nothing
        more_containers, more_values = _count(outside)
        containers, values = containers + more_containers, values + more_values
        if containers > most or values > most_values:
            raise TooLargeError(
                f"The body has more than {most} objects and lists, or more than {most_values} values: "
                f"for the limit of {most_rows} rows, too many to be read."
            )


def read(body: bytes | bytearray, unpack: Unpack, schema: Schema) -> list[Record]:
    """Return the records of a body, not yet checked against the schema.

    Raises
    ------
    DataError
        The body is not JSON, is not what the protocol asks for, or holds no row.
    RowError
        A value is NaN or infinite, which JSON does not have; it is named.
    """
    try:
        value = _loads(body)
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


def rows(records: Sequence[Record], schema: Schema, longest: Mapping[str, int] | None = None) -> Rows:
    """Check records against the schema.

    Parameters
    ----------
    longest
        Most characters of a category, by feature, where that is not `MOST_CHARACTERS`.

    Raises
    ------
    RowError
        A field is missing, of the wrong type, a key or category that is too long, or a number beyond
        float32; row and field are named.
    """
    columns = parse_rows(records, schema)
    _refuse_beyond_float32(columns)
    _refuse_long_names(columns, longest or {})
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


_SLICE_BYTES = 64 * 1024
_BACKSLASH = ord("\\")
_SMALL_BYTES = 16 * 1024
_CONTAINERS_PER_ROW = 2
_VALUES_PER_ROW = 16
_ONCE = 10_000
"""Objects, lists and values that a body may hold beside its rows."""
_INFINITE = re.compile(rb"NaN|Infinity|[eE]\+?\d{3}")
_PLAIN = 'Send {"rows": [{"field": value, …}, …]}, the list alone, or one row.'


def _split(value: Any, _schema: Schema) -> list[Record]:
    columns, data = (value.get(part) if isinstance(value, dict) else None for part in ("columns", "data"))
    if not isinstance(columns, list) or not isinstance(data, list):
        raise DataError("dataframe_split must be an object with the lists columns and data.")
    if not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
        raise DataError("The columns of dataframe_split must be texts, each another.")
    return _zipped(columns, data)


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


def _loads(body: bytes | bytearray) -> Any:
    """Parse a body. What it holds is no garbage: to look for some would take longer than the parsing."""
    if len(body) <= _SMALL_BYTES:
        return orjson.loads(body)
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


def _outside_texts(body: bytes | bytearray) -> Iterator[bytes | bytearray]:
    """Yield what is not within quotes, a slice at a time, so that memory does not grow with the body."""
    start, within = 0, 0
    while start < len(body):
        end = min(start + _SLICE_BYTES, len(body))
        while body[end - 1] == _BACKSLASH and end < len(body):
            end += 1  # what it escapes belongs to it, whatever comes before
        plain = body[start:end].replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = plain.split(b'"')
        yield b" ".join(pieces[within::2])
        within ^= (len(pieces) - 1) % 2
        start = end


def _count(body: bytes | bytearray) -> tuple[int, int]:
    """Return how many objects and lists, and how many values, a body has at the most."""
    containers = body.count(b"{") + body.count(b"[")
    return containers, containers + body.count(b",") + 1


def _each(
    records: Sequence[Record], field: str | None, read: Callable[[Any, int, str], str | None]
) -> list[str | None]:
    if field is None:
        return [None] * len(records)
    return [read(record.get(field), row, field) for row, record in enumerate(records)]


def _key(value: Any, row: int, field: str) -> str | None:
    if value is None or type(value) is str:
        _refuse_long(value or "", row, field, MOST_CHARACTERS)
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
    beyond = np.abs(columns.numbers) > MOST_NUMBER
    if beyond.any():
        row, position = np.argwhere(beyond)[0].tolist()
        name, value = columns.schema.numbers[position], columns.numbers[row, position]
        message = f"Row {row}: {name} is {value:g}; the limits are -{MOST_NUMBER:.2g} and {MOST_NUMBER:.2g}."
        raise RowError(message, row=row, field=name)


def _refuse_long_names(columns: Columns, longest: Mapping[str, int]) -> None:
    """Raise for a category longer than any that names something: the log would keep it for ever."""
    for position, name in enumerate(columns.schema.texts):
        if columns.schema.input_types[name].has_vocabulary:
            most = longest.get(name, MOST_CHARACTERS)
            for row, value in enumerate(columns.texts[:, position]):
                _refuse_long(value, row, name, most)


def _refuse_long(value: str, row: int, field: str, most: int) -> None:
    if len(value) > most:
        message = f"Row {row}: {field} has {len(value)} characters; the limit is {most}."
        raise RowError(message, row=row, field=field)


def _name_the_infinite(body: bytes | bytearray, unpack: Unpack, schema: Schema) -> None:
    """Raise for the first NaN or infinity of a body that only a lenient reader takes."""
    if not _INFINITE.search(body):
        return  # broken in another way: the other reader, ten times slower, need not look
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
