"""Rows to be predicted: a request's records, and the columns that a model sees of them.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as bounded
from typing import Any

import numpy as np

from mlops.errors import RowError
from mlops.schema import Schema

__all__ = ["Array", "Columns", "Rows", "expand", "parse_rows"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Columns(Mapping[str, Array]):
    """Rows as a model sees them: a column per input, laid in the two tables that a compiled model takes.

    Parameters
    ----------
    numbers
        Shape (n_rows, len(schema.numbers)), float64; NaN is missing.
    texts
        Shape (n_rows, len(schema.texts)), str objects; "" is missing.
    """

    schema: Schema
    numbers: Array
    texts: Array

    @classmethod
    def of(cls, columns: Mapping[str, Array], schema: Schema) -> Columns:
        """Lay columns, each of shape (n_rows,), into the tables."""
        rows = len(next(iter(columns.values()), ()))

        def laid(names: Sequence[str], dtype: type) -> Array:
            table: Array = np.empty((rows, len(names)), dtype=dtype)
            for position, name in enumerate(names):
                table[:, position] = columns[name]
            return table

        return cls(schema, laid(schema.numbers, float), laid(schema.texts, object))

    def __getitem__(self, name: str) -> Array:
        if self.schema.input_types[name].is_text:
            return self.texts[:, self.schema.texts.index(name)]
        return self.numbers[:, self.schema.numbers.index(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.schema.inputs)

    def __len__(self) -> int:
        return len(self.schema.inputs)


@dataclass(frozen=True)
class Rows:
    """What is to be predicted.

    Parameters
    ----------
    columns
        The features as the model sees them.
    served
        Per row the features as they came, for the log.
    keys, times
        Per row what names it in the world outside and its event time (ISO 8601, UTC), where
        it brought them.
    """

    columns: Columns
    served: Sequence[Mapping[str, Any]]
    keys: Sequence[str | None]
    times: Sequence[str | None]


def parse_rows(records: Sequence[Mapping[str, Any]], schema: Schema) -> Columns:
    """Turn JSON records into the columns that a model sees.

    Parameters
    ----------
    records
        One mapping per row. A field beyond the features is left alone; null is a missing value.

    Raises
    ------
    RowError
        A field is absent or of the wrong type: ``"0.3"`` and ``true`` are no numbers, and
        NaN and the infinities are no values. The error names the row and the field.
    """
    numbers, texts = schema.readers
    try:
        counted = [[read(record[name]) for name, read in numbers] for record in records]
        worded = [[read(record[name]) for name, read in texts] for record in records]
    except (KeyError, ValueError, OverflowError) as exc:
        raise _culprit(records, schema) from exc
    # A table at once: of a single row, an array for each column would cost as much as the model.
    table = np.array(counted, dtype=float).reshape(len(records), len(numbers))
    words = np.array(worded, dtype=object).reshape(len(records), len(texts))
    if not schema.has_parts:
        return Columns(schema, table, words)
    columns = dict(zip(schema.texts, words.T, strict=True))
    for (name, _), values in zip(numbers, table.T, strict=True):
        columns |= expand(values, schema, name)
    return Columns.of(columns, schema)


def expand(values: Array, schema: Schema, feature: str) -> dict[str, Array]:
    """Take a feature apart into the inputs that a model sees, see `Schema.parts`.

    Parameters
    ----------
    values
        Shape (n_rows,), as `FeatureType.read_json` gives them.
    """
    type = schema.types[feature]
    if not type.parts:
        return {feature: values}
    parts = {f"{feature}.{part}": found for part, found in type.expand(values).items()}
    return {name: values if name == feature else parts[name] for name in schema.parts(feature)}


def _culprit(records: Sequence[Mapping[str, Any]], schema: Schema) -> RowError:
    """Find the first row that cannot be read; only rows known to hold one are searched."""
    for row, record in enumerate(records):
        for name, type in schema.types.items():
            if name not in record:
                message = f"Row {row} has no field {name!r}. Send null where its value is not known."
                return RowError(message, row=row, field=name)
            try:
                plain = schema.canonical.get(name)
                type.read_json(plain(record[name]) if plain else record[name])
            except (ValueError, OverflowError):
                value = bounded(record[name])
                message = f"Row {row}: {name} must be {type.value} or null, not {value}."
                return RowError(message, row=row, field=name)
    raise AssertionError("every row can be read")
