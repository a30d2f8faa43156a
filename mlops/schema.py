"""What a row is: the columns a model sees, and how a request's records become them.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from reprlib import repr as bounded
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlops.errors import ConfigError, RowError, shown

if TYPE_CHECKING:
    from mlops.config import Params

__all__ = ["Columns", "Kind", "Schema", "Task", "parse_rows"]

Kind = Literal["number", "category", "boolean"]
Task = Literal["binary", "multiclass", "regression"]
Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]
"""As a model sees rows: per feature float64 (NaN is missing) or str objects ("" is missing)."""

_RESERVED = frozenset(("id", "key", "time", "at", "deployment", "version", "prediction", "score"))
"""What the prediction log calls its own columns, beside the features and the target."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and what each is for.

    Parameters
    ----------
    features
        Name to kind, in the order the model sees them.
    target
        The column to predict.
    time
        Event time, UTC, where the data has it.
    key
        What names a row in the world outside, where something does.

    Raises
    ------
    ConfigError
        A feature or the target is called as a column of the prediction log is.
    """

    features: Mapping[str, Kind]
    target: str
    task: Task
    time: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        taken = sorted(_RESERVED.intersection((*self.features, self.target)))
        if taken:
            raise ConfigError(
                "data",
                given=shown(taken),
                allowed=f"columns with other names than {shown(sorted(_RESERVED), 9)}",
            )
        # A frozen noun whose mapping could be edited would be frozen in name only.
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled; the values it was made from can.
        return type(self), (dict(self.features), self.target, self.task, self.time, self.key)

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


def parse_rows(records: Sequence[Mapping[str, Any]], schema: Schema) -> Columns:
    """Turn JSON records into the columns that a model sees.

    Parameters
    ----------
    records
        One mapping per row. A field beyond the features is left alone; null is a missing value.

    Returns
    -------
    dict
        Per feature an array of shape (n_rows,), in the schema's order.

    Raises
    ------
    RowError
        A field is absent or of the wrong type: ``"0.3"`` and ``true`` are no numbers, and
        NaN and the infinities are no values. The error names the row and the field.
    """
    return {name: _column(records, name, kind) for name, kind in schema.features.items()}


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
}
_ALLOWED: dict[Kind, str] = {"number": "a finite number", "boolean": "true or false", "category": "text"}


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
