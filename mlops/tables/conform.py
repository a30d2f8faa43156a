"""A table as the loop has it: the columns of a schema, each of one type, however a file spelled them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import DataError, MissingColumnError, UnusableValueError, shown
from mlops.moments import to_times
from mlops.schema import TEXTUAL, Array, Columns, Kind, Rows, Schema, Task, date_parts
from mlops.tables.cells import is_number, is_whole, plain, spelled
from mlops.tables.readers import as_typed

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "columns_of",
    "conform",
    "filled",
    "in_order",
    "labels",
    "lenient",
    "records",
    "reread",
    "seen_by",
    "typed",
    "typed_or_stored",
    "unlabelled",
    "usable",
]

_LABELS: Mapping[str, type] = {"boolean": bool, "integer": int, "string": object, "empty": object}
_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal", "empty")


def conform(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the schema's columns with the types that the model sees.

    Number and boolean: float64, NaN where missing. Category and text: str, "" where missing.
    Date: UTC, NaT where missing. Target: float64 for a regression, else plain labels or None.
    Time: UTC. Key: str.

    Raises
    ------
    MissingColumnError
        A column of the schema is not in the frame.
    DataError
        A value cannot be used; its column and the first such value are named.
    """
    import pandas as pd

    _refuse_missing(frame, schema)
    return pd.DataFrame({name: typed(frame[name], schema) for name in schema.named}, index=frame.index)


def in_order(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return rows by time and key, as far as the schema has them."""
    order = [name for name in (schema.time, schema.key) if name]
    return frame.sort_values(order, kind="stable") if order else frame


def typed(column: pd.Series[Any], schema: Schema) -> pd.Series[Any]:
    """Return a column of the schema, known by its name, with the type that `conform` gives it.

    Raises
    ------
    UnusableValueError
        Values cannot be used; the error holds which.
    DataError
        Labels are of several types.
    """
    name = str(column.name)
    if name == schema.time:  # which may be a feature, too
        return _times(column)
    if name in schema.features:
        return _feature(column, schema.features[name])
    return labels(column, schema.task) if name == schema.target else _keys(column)


def usable(
    column: pd.Series[Any], schema: Schema
) -> tuple[pd.Series[Any], list[tuple[np.ndarray[Any, np.dtype[np.bool_]], str]]]:
    """Return a column as `typed` does, missing where a value cannot be used, and which those are.

    Returns
    -------
    column, unusable
        Of what cannot be used, a mask and what would be allowed; both by the rows' positions.

    Raises
    ------
    DataError
        Labels are of several types.
    """
    unusable: list[tuple[np.ndarray[Any, np.dtype[np.bool_]], str]] = []
    places = np.arange(len(column))
    while True:
        try:
            found = typed(column.iloc[places], schema)
            break
        except UnusableValueError as exc:
            mask = np.zeros(len(column), dtype=bool)
            mask[places[exc.wrong]] = True
            unusable.append((mask, exc.allowed))
            places = places[~exc.wrong]
    return (found.reindex(column.index) if unusable else found), unusable


def lenient(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return a table as `conform` does, but a value that cannot be used as missing.

    Raises
    ------
    MissingColumnError, DataError
        As `conform`, of columns as a whole.
    """
    import pandas as pd

    _refuse_missing(frame, schema)
    plain = frame.reset_index(drop=True)
    return pd.DataFrame({name: usable(plain[name], schema)[0] for name in schema.named})


def typed_or_stored(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return a table as `conform` does, for looking at: a column with unusable values stays as it is.

    Columns that the schema does not name stay, too.
    """
    import pandas as pd

    columns: dict[str, pd.Series[Any]] = {}
    for name, column in reread(frame, schema).items():
        columns[str(name)] = column
        if name in schema.named:
            with suppress(DataError):
                columns[str(name)] = typed(column, schema)
    return pd.DataFrame(columns, index=frame.index)


def reread(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return rows that were conformed when a column's kind was another, ready to be conformed.

    Text of a column that was a category, and is one of numbers or truths now, is read as a CSV's.
    """
    counted = {name: kind for name, kind in schema.features.items() if kind in ("number", "boolean")}
    return as_typed(frame, Schema(counted, "", schema.task))


def seen_by(schema: Schema, frame: pd.DataFrame) -> Columns:
    """Return conformed rows as a model of another schema sees them, as one of before a correction.

    What is no value of the kind that a column had for it is missing.

    Raises
    ------
    MissingColumnError
        The frame lacks a feature.
    """
    time = schema.time if schema.time in schema.features else None
    known = Schema(schema.features, "", schema.task, time)
    return columns_of(conform(lenient(reread(frame, known), known), known), known)


def unlabelled(frame: pd.DataFrame, schema: Schema) -> Rows:
    """Return a table's rows as they are predicted and logged; values are read as `conform` does.

    The key and the time may be missing, in single rows or as columns.

    Raises
    ------
    MissingColumnError
        The frame lacks a feature.
    DataError
        A value cannot be used; its column and the first such value are named.
    """
    import pandas as pd

    if missing := [name for name in schema.features if name not in frame.columns]:
        raise MissingColumnError(missing, have=[str(name) for name in frame.columns], where="The table")
    features = pd.DataFrame({name: _feature(frame[name], kind) for name, kind in schema.features.items()})
    keys: list[str | None] = [None] * len(frame)
    times = keys
    if schema.key in frame:
        keys = [key or None for key in _text(frame[schema.key])]
    if schema.time in frame:
        moments = _times(frame[schema.time], optional=True)
        times = [None if moment is pd.NaT else moment.isoformat() for moment in moments]
    return Rows(columns_of(features, schema), records(features, schema), keys, times)


def columns_of(frame: pd.DataFrame, schema: Schema) -> Columns:
    """Return a conformed frame's features as a predictor takes them: see `Schema.inputs`."""
    columns: dict[str, Array] = {}
    for name, kind in schema.features.items():
        columns |= (
            date_parts(_days(frame[name]), schema, name) if kind == "date" else {name: frame[name].to_numpy()}
        )
    return Columns.of(columns, schema)


def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """Return a conformed frame's features as the records of a request, null where missing."""
    plain: dict[str, list[Any]] = {}
    for name, kind in schema.features.items():
        values = frame[name].tolist()
        if kind in TEXTUAL:
            plain[name] = [value or None for value in values]
        elif kind == "date":
            plain[name] = [None if value != value else value.isoformat() for value in values]
        else:
            plain[name] = [
                None if value != value else bool(value) if kind == "boolean" else value for value in values
            ]
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def filled(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column that holds no words, with text of nothing but spaces as missing."""
    if not (column.dtype == object or column.dtype.name in ("string", "str")):
        return column
    blank = column.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)
    return column.mask(blank, None) if blank.any() else column


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
    column = filled(column)
    known = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    kind = pd.api.types.infer_dtype(values[known])
    if kind in ("floating", "mixed-integer-float", "decimal"):
        wrong = known.copy()
        wrong[known] = [not is_whole(value) for value in values[known]]
        _refuse(column, wrong, "a label: those are true and false, whole numbers or text")
    elif kind not in _LABELS:
        found = sorted({type(value).__name__ for value in values[known]})
        raise DataError(
            f"{column.name} holds labels of the types {shown(found)}.",
            remedy="Spell each label the same way in every row: true and false, whole numbers or text.",
        )
    told = np.full(len(values), None, dtype=object)
    told[known] = values[known].astype(_LABELS.get(kind, int)).astype(object)
    return pd.Series(told, index=column.index, name=column.name, dtype=object)


def _refuse_missing(frame: pd.DataFrame, schema: Schema) -> None:
    if missing := [name for name in schema.named if name not in frame.columns]:
        raise MissingColumnError(missing, have=[str(name) for name in frame.columns], where="The table")


def _feature(column: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    if kind in TEXTUAL:
        return _text(column)
    if kind == "date":
        return _times(column, optional=True)
    return _number(column) if kind == "number" else _truth(column)


def _number(column: pd.Series[Any]) -> pd.Series[Any]:
    from pandas.api import types

    column = filled(column)
    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        if types.infer_dtype(column, skipna=True) not in _NUMERIC:
            _refuse(column, column.notna() & ~column.map(is_number).astype(bool), "a number")
        column = column.astype("object")
    numbers = column.astype("float64")
    _refuse(column, np.isinf(numbers), "a finite number")
    return numbers


def _truth(column: pd.Series[Any]) -> pd.Series[Any]:
    column = filled(column)
    _refuse(column, column.notna() & ~column.isin([True, False]), "true or false")
    return column.astype("object").astype("float64")


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("boolean", "datetime64", "datetime"):
        _refuse(column, column.notna(), "text")
    text = column.astype("object")
    if kind not in ("string", "empty"):
        # Not by `map`, which would widen a number of 32 bits: 0.1 to 0.10000000149011612.
        text = pd.Series(list(map(spelled, column.to_numpy())), index=column.index, dtype=object)
    return text.where(column.notna(), "")


def _times(column: pd.Series[Any], *, optional: bool = False) -> pd.Series[Any]:
    import pandas as pd

    times = column = filled(column)
    if pd.api.types.is_numeric_dtype(column.dtype):  # a count since when, and of what?
        times = pd.Series(pd.NaT, index=column.index)
    elif not isinstance(column.dtype, pd.DatetimeTZDtype):
        times = to_times(column)
    wrong = times.isna() & column.notna() if optional else times.isna()
    _refuse(column, wrong, "a time such as 2013-07-04T15:00:00Z")
    return times.astype("datetime64[us, UTC]")


def _days(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Days since 1970-01-01 of times as `_times` gives them; NaN where there is none."""
    micros = column.to_numpy(dtype="datetime64[us]")
    days = micros.astype("int64") / 86_400e6
    return np.where(np.isnat(micros), np.nan, days)


def _keys(column: pd.Series[Any]) -> pd.Series[Any]:
    keys = _text(column)
    _refuse(column, keys.str.strip() == "", "a key")
    return keys


def _refuse(column: pd.Series[Any], wrong: Any, allowed: str) -> None:
    if not wrong.any():
        return
    position = int(np.argmax(np.asarray(wrong)))
    value = plain(column.iloc[position])
    raise UnusableValueError(
        f"{column.name} holds {value!r} in row {column.index[position]}, which is not {allowed}.",
        wrong=np.asarray(wrong, dtype=bool),
        allowed=allowed,
        remedy="Correct the table, or what params.yaml says of the column.",
    )
