"""What a row is: the columns a model sees, and how a request's records become them.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite, nan
from reprlib import repr as bounded
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import moments
from mlops.errors import ConfigError, RowError, shown
from mlops.feature_types import TEXTUAL, Kind, Task

if TYPE_CHECKING:
    from mlops.config.params import Params

__all__ = [
    "DATE_PARTS",
    "RESERVED",
    "TEXTUAL",
    "Array",
    "Columns",
    "Kind",
    "Rows",
    "Schema",
    "Task",
    "date_parts",
    "parse_rows",
]

Array = np.ndarray[Any, np.dtype[Any]]
Reader = Callable[[Any], float | str]
"""From a JSON value to a model's; raises ValueError or OverflowError for what is none of its kind."""

RESERVED = frozenset(("id", "key", "time", "at", "deployment", "version", "prediction", "score"))
"""What the prediction log calls its own columns, beside the features and the target."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0
DATE_PARTS: tuple[str, ...] = ("month", "weekday", "hour")
"""What a date is taken apart into, beside the days since 1970."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and what each is for.

    Parameters
    ----------
    features
        Name to kind, in the order the model sees them. The time column may be one, of kind date.
    target
        The column to predict.
    time
        Event time, UTC, where the data has it.
    key
        What names a row in the world outside, where something does.

    Raises
    ------
    ConfigError
        A feature or the target is called as a column of the prediction log is, or a feature as a
        part of a date is.

    Examples
    --------
    >>> import mlops
    >>> schema = mlops.Schema(
    ...     features={"size": "number", "picked": "date"}, target="ripe", task="binary", time="picked"
    ... )
    >>> list(schema.inputs)
    ['size', 'picked.month', 'picked.weekday', 'picked.hour']
    """

    features: Mapping[str, Kind]
    target: str
    task: Task
    time: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        named = {name for name in self.features if name != self.time} | {self.target}
        taken = sorted(RESERVED & named)
        if taken:
            raise ConfigError(
                "data",
                value=shown(taken),
                allowed=f"columns with other names than {shown(sorted(RESERVED), 9)}",
            )
        parts = [part for name in self.features for part in self.parts(name) if part != name]
        twice = [part for part in parts if part in self.features]
        if twice:
            raise ConfigError("data.features", value=twice[0], allowed="a name that is no part of a date's")
        # A frozen noun whose mapping could be edited would be frozen in name only.
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled; the values it was made from can.
        return type(self), (dict(self.features), self.target, self.task, self.time, self.key)

    def _repr_html_(self) -> str:
        from html import escape

        roles = [(self.target, f"target, {self.task}"), (self.time, "time"), (self.key, "key")]
        rows = "".join(
            f"<tr><td>{escape(str(cell))}</td><td>{escape(str(use))}</td></tr>"
            for cell, use in [*self.features.items(), *((name, role) for name, role in roles if name)]
        )
        head = "<tr><th>column</th><th>type or role</th></tr>"
        return f'<table style="text-align: left">{head}{rows}</table>'

    @property
    def named(self) -> list[str]:
        """The columns of a table that it names, each once."""
        roles = (self.target, self.time, self.key)
        return list(dict.fromkeys([*self.features, *(name for name in roles if name)]))

    @cached_property
    def inputs(self) -> Mapping[str, Kind]:
        """What the model sees, in order: the features, with each date taken apart into numbers."""
        return MappingProxyType(
            {
                part: "number" if kind == "date" else kind
                for name, kind in self.features.items()
                for part in self.parts(name)
            }
        )

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The inputs that reach a model as numbers, in order."""
        return tuple(name for name, kind in self.inputs.items() if kind not in TEXTUAL)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The inputs that reach a model as text, in order."""
        return tuple(name for name, kind in self.inputs.items() if kind in TEXTUAL)

    @cached_property
    def readers(self) -> tuple[Sequence[tuple[str, Reader]], Sequence[tuple[str, Reader]]]:
        """How the features of a record are read: those that reach a model as numbers, and as text."""
        every = [(name, kind in TEXTUAL, _READERS[kind]) for name, kind in self.features.items()]
        numbers = [(name, read) for name, is_text, read in every if not is_text]
        return numbers, [(name, read) for name, is_text, read in every if is_text]

    def parts(self, feature: str) -> tuple[str, ...]:
        """Return the inputs that a feature becomes.

        A date becomes the days since 1970, ``<name>``, and ``<name>.month`` (1 to 12),
        ``<name>.weekday`` (0 is Monday) and ``<name>.hour`` (0 up to 24), all in UTC. Of the event
        time the first is left out: all that will be asked is newer than all that was learnt from.
        """
        if self.features[feature] != "date":
            return (feature,)
        parts = tuple(f"{feature}.{part}" for part in DATE_PARTS)
        return parts if feature == self.time else (feature, *parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as a JSON value; `from_dict` reads it back."""
        return {
            "features": [[name, kind] for name, kind in self.features.items()],
            "target": self.target,
            "task": self.task,
            "time": self.time,
            "key": self.key,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Schema:
        """Read what `to_dict` wrote."""
        return cls(**{**value, "features": dict(value["features"])})

    @classmethod
    def from_params(cls, params: Params) -> Schema:
        """Take the columns from the `data` section and the task from `model`."""
        data = params.data
        return cls(data.features, data.target, params.model.task, data.time, data.key)


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
        if self.schema.inputs[name] in TEXTUAL:
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
    if "date" not in schema.features.values():
        return Columns(schema, table, words)
    columns = dict(zip(schema.texts, words.T, strict=True))
    for (name, _), days in zip(numbers, table.T, strict=True):
        columns |= date_parts(days, schema, name) if schema.features[name] == "date" else {name: days}
    return Columns.of(columns, schema)


def date_parts(days: Array, schema: Schema, feature: str) -> dict[str, Array]:
    """Take a date apart into the numbers that a model sees, see `Schema.parts`.

    Parameters
    ----------
    days
        Shape (n_rows,): days since 1970-01-01, UTC, with their fraction; NaN is missing.
    """
    known = np.isfinite(days)
    whole = np.floor(np.where(known, days, 0.0))
    month = whole.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 + 1
    # 1970 began on a Thursday. Seconds are whole before they are parts of an hour: 8:00 is 8.0.
    seconds = np.round((np.where(known, days, 0.0) - whole) * _DAY)
    numbers = {"month": month, "weekday": (whole + 3) % 7, "hour": seconds / 3600}
    parts = {f"{feature}.{part}": np.where(known, value, nan) for part, value in numbers.items()}
    return {name: days if name == feature else parts[name] for name in schema.parts(feature)}


def _number(value: Any) -> float:
    if value is None:
        return nan
    # By exact type, because bool is a subclass of int and true is no number.
    if (type(value) is float or type(value) is int) and isfinite(value):
        return float(value)
    raise ValueError(value)


def _truth(value: Any) -> float:
    if value is None:
        return nan
    if type(value) is bool:
        return float(value)
    raise ValueError(value)


def _date(value: Any) -> float:
    if value is None:
        return nan
    if type(value) is not str:
        raise ValueError(value)
    return (moments.from_text(value) - _EPOCH).total_seconds() / _DAY


def _text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return value
    raise ValueError(value)


_READERS: dict[Kind, Reader] = {
    "number": _number,
    "boolean": _truth,
    "category": _text,
    "text": _text,
    "date": _date,
}
_ALLOWED: dict[Kind, str] = {
    "number": "a finite number",
    "boolean": "true or false",
    "category": "text",
    "text": "text",
    "date": "a date such as 2013-07-04 or 2013-07-04T15:00:00Z",
}


def _culprit(records: Sequence[Mapping[str, Any]], schema: Schema) -> RowError:
    """Find the first row that cannot be read; only rows known to hold one are searched."""
    for row, record in enumerate(records):
        for name, kind in schema.features.items():
            if name not in record:
                message = f"Row {row} has no field {name!r}. Send null where its value is not known."
                return RowError(message, row=row, field=name)
            try:
                _READERS[kind](record[name])
            except (ValueError, OverflowError):
                value = bounded(record[name])
                message = f"Row {row}: {name} must be {_ALLOWED[kind]} or null, not {value}."
                return RowError(message, row=row, field=name)
    raise AssertionError("every row can be read")
