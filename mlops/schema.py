"""What a row is: the columns a model sees, and how a request's records become them.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, nan
from reprlib import repr as bounded
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import ConfigError, RowError, shown
from mlops.kind import TEXTUAL, Kind, Task

if TYPE_CHECKING:
    from mlops.params import Params

__all__ = [
    "DATE_PARTS",
    "RESERVED",
    "TEXTUAL",
    "Columns",
    "Kind",
    "Rows",
    "Schema",
    "Task",
    "date_parts",
    "parse_rows",
]

Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]
"""As a model sees rows: per input float64 (NaN is missing) or str objects ("" is missing)."""

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
                given=shown(taken),
                allowed=f"columns with other names than {shown(sorted(RESERVED), 9)}",
            )
        parts = [part for name in self.features for part in self.parts(name) if part != name]
        twice = [part for part in parts if part in self.features]
        if twice:
            raise ConfigError("data.features", given=twice[0], allowed="a name that is no part of a date's")
        # A frozen noun whose mapping could be edited would be frozen in name only.
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled; the values it was made from can.
        return type(self), (dict(self.features), self.target, self.task, self.time, self.key)

    @property
    def named(self) -> list[str]:
        """The columns of a table that it names, each once."""
        roles = (self.target, self.time, self.key)
        return list(dict.fromkeys([*self.features, *(name for name in roles if name)]))

    @property
    def inputs(self) -> dict[str, Kind]:
        """What the model sees, in order: the features, with each date taken apart into numbers."""
        return {
            part: "number" if kind == "date" else kind
            for name, kind in self.features.items()
            for part in self.parts(name)
        }

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

    Returns
    -------
    dict
        Per input an array of shape (n_rows,), in the schema's order.

    Raises
    ------
    RowError
        A field is absent or of the wrong type: ``"0.3"`` and ``true`` are no numbers, and
        NaN and the infinities are no values. The error names the row and the field.
    """
    columns: Columns = {}
    for name, kind in schema.features.items():
        read = _column(records, name, kind)
        columns |= date_parts(read, schema, name) if kind == "date" else {name: read}
    return columns


def date_parts(days: np.ndarray[Any, np.dtype[Any]], schema: Schema, feature: str) -> Columns:
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


def _column(records: Sequence[Mapping[str, Any]], name: str, kind: Kind) -> np.ndarray[Any, np.dtype[Any]]:
    read, dtype = _READERS[kind]
    try:
        return np.array([read(record[name]) for record in records], dtype=dtype)
    except (KeyError, ValueError, OverflowError) as exc:
        raise _culprit(records, name, kind) from exc


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
    moment = datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds() / _DAY


def _text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return value
    raise ValueError(value)


_READERS: dict[Kind, tuple[Callable[[Any], float | str], type]] = {
    "number": (_number, float),
    "boolean": (_truth, float),
    "category": (_text, object),
    "text": (_text, object),
    "date": (_date, float),
}
_ALLOWED: dict[Kind, str] = {
    "number": "a finite number",
    "boolean": "true or false",
    "category": "text",
    "text": "text",
    "date": "a date such as 2013-07-04 or 2013-07-04T15:00:00Z",
}


def _culprit(records: Sequence[Mapping[str, Any]], name: str, kind: Kind) -> RowError:
    """Find the first row that cannot be read; only rows known to hold one are searched."""
    for row, record in enumerate(records):
        if name not in record:
            message = f"Row {row} has no field {name!r}. Send null where its value is not known."
            return RowError(message, row=row, field=name)
        try:
            _READERS[kind][0](record[name])
        except (ValueError, OverflowError):
            break
    value = bounded(record[name])
    return RowError(f"Row {row}: {name} must be {_ALLOWED[kind]} or null, not {value}.", row=row, field=name)
