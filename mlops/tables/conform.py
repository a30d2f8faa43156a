"""A table as the loop has it: the columns of a schema, each of one type, however a file spelled them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.column_formats import MissingValues, is_missing_word
from mlops.errors import DataError, MissingColumnError, UnusableValueError
from mlops.feature_types.column_reading import read_text, refuse
from mlops.feature_types.date import read_times
from mlops.rows import Array, Columns, Rows, expand
from mlops.schema import Schema
from mlops.tables.readers import as_typed

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "columns_of",
    "conform",
    "in_order",
    "inputs_for",
    "lenient",
    "records",
    "reread",
    "typed",
    "typed_or_stored",
    "unlabelled",
    "usable",
]


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
    name, column = str(column.name), _written(column, schema)
    if name == schema.time:  # which may be a feature, too
        return read_times(column)
    if name in schema.features:
        return _read_feature(column, schema)
    return schema.task_type.read_target(column) if name == schema.target else _keys(column)


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
            values = typed(column.iloc[places], schema)
            break
        except UnusableValueError as exc:
            mask = np.zeros(len(column), dtype=bool)
            mask[places[exc.wrong]] = True
            unusable.append((mask, exc.allowed))
            places = places[~exc.wrong]
    return (values.reindex(column.index) if unusable else values), unusable


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
    """Return rows that were conformed when a column's type was another, ready to be conformed.

    Text of a column that was a category, and is a number or boolean now, is read as a CSV's.
    """
    counted = {name: type.name for name, type in schema.types.items() if not (type.is_text or type.parts)}
    formats = {name: format for name, format in schema.formats.items() if name in counted}
    return as_typed(frame, Schema(counted, "", schema.task, formats=formats, missing=schema.missing))


def inputs_for(schema: Schema, frame: pd.DataFrame) -> Columns:
    """Return conformed rows as inputs of a model with another schema, as one from before a correction.

    A value that is not of the type that the column has there is missing.

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
    features = pd.DataFrame(
        {name: _read_feature(_written(frame[name], schema), schema) for name in schema.features}
    )
    keys: list[str | None] = [None] * len(frame)
    times = keys
    if schema.key in frame:
        keys = [key or None for key in read_text(_written(frame[schema.key], schema))]
    if schema.time in frame:
        moments = read_times(frame[schema.time], optional=True)
        times = [None if moment is pd.NaT else moment.isoformat() for moment in moments]
    return Rows(columns_of(features, schema), records(features, schema), keys, times)


def columns_of(frame: pd.DataFrame, schema: Schema) -> Columns:
    """Return a conformed frame's features as a predictor takes them: see `Schema.inputs`."""
    columns: dict[str, Array] = {}
    for name, type in schema.types.items():
        columns |= expand(type.to_inputs(frame[name]), schema, name)
    return Columns.of(columns, schema)


def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """Return a conformed frame's features as the records of a request, null where missing."""
    plain = {name: type.to_json(frame[name].tolist()) for name, type in schema.types.items()}
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def _read_feature(column: pd.Series[Any], schema: Schema) -> pd.Series[Any]:
    try:
        return schema.types[str(column.name)].read_column(column)
    except UnusableValueError as exc:
        value = column.iloc[int(np.argmax(exc.wrong))]
        if isinstance(value, str) and is_missing_word(value):
            setting = f"{{{column.name}: ['{value.strip()}']}}"
            exc.remedy = f"If that stands for a missing value, write data.missing: {setting} in params.yaml."
        raise


def _written(column: pd.Series[Any], schema: Schema) -> pd.Series[Any]:
    """Return a column without what stands for a missing value, its text as its format has it.

    So of rows that were stored before params.yaml said so, too.
    """
    name = str(column.name)
    column = MissingValues(schema.missing_words(name)).without(column)
    format = schema.formats.get(name)
    if format is None or not format.is_text or not (column.dtype == object or column.dtype.name == "string"):
        return column
    is_text = column.map(lambda value: isinstance(value, str)).astype(bool)
    return column.where(~is_text, column.where(is_text).map(format.read_value, na_action="ignore"))


def _refuse_missing(frame: pd.DataFrame, schema: Schema) -> None:
    if missing := [name for name in schema.named if name not in frame.columns]:
        made = {name: schema.formats[name].sources for name in missing if name in schema.formats}
        parts = [part for name in missing for part in made.get(name) or (name,) if part not in frame.columns]
        raise MissingColumnError(parts, have=[str(name) for name in frame.columns], where="The table")


def _keys(column: pd.Series[Any]) -> pd.Series[Any]:
    keys = read_text(column)
    refuse(column, keys.str.strip() == "", "a key")
    return keys
