"""What a row is: the columns a model sees, and how a request's records become them.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlops.errors import RowError, shown

if TYPE_CHECKING:
    from mlops.config import Params

__all__ = ["Columns", "Kind", "Schema", "Task", "parse_rows"]

Kind = Literal["number", "category", "boolean"]
Task = Literal["binary", "multiclass", "regression"]
Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]
"""As a model sees rows: per feature float64 (NaN is missing) or str objects ("" is missing)."""


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
    """

    features: Mapping[str, Kind]
    target: str
    task: Task
    time: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
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
        return cls(**{**value, "features": {name: kind for name, kind in value["features"]}})

    @classmethod
    def from_params(cls, params: Params) -> Schema:
        """Take the columns from the `data` section and the task from `model`."""
        data = params.data
        return cls(data.features, data.target, params.model.task, data.time, data.key)


def parse_rows(records: Sequence[Mapping[str, Any]], schema: Schema) -> Columns:
    """Turn JSON records into the columns that a model sees.

    A field beyond the features is left alone; null is a missing value.

    Raises
    ------
    RowError
        A field is absent or of the wrong type: ``"0.3"`` and ``true`` are no numbers, and
        NaN and the infinities are no values. The error names the row and the field.
    """
    return {
        name: _number_column(records, name, _NUMBERS[kind]) if kind != "category" else _text_column(records, name)
        for name, kind in schema.features.items()
    }


def _number(value: Any) -> float | None:
    # By exact type: bool is a subclass of int, and True is no number.
    if type(value) is float or type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if isfinite(number) else None
    return None


def _truth(value: Any) -> float | None:
    return float(value) if type(value) is bool else None


_NUMBERS: dict[Kind, tuple[Callable[[Any], float | None], str]] = {
    "number": (_number, "a finite number"),
    "boolean": (_truth, "true or false"),
}


def _number_column(
    records: Sequence[Mapping[str, Any]], name: str, kind: tuple[Callable[[Any], float | None], str]
) -> np.ndarray[Any, np.dtype[Any]]:
    read, allowed = kind
    column = np.empty(len(records))
    for row, record in enumerate(records):
        value = _field(record, name, row)
        number = nan if value is None else read(value)
        if number is None:
            raise _wrong(value, allowed, row, name)
        column[row] = number
    return column


def _text_column(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray[Any, np.dtype[Any]]:
    column = np.empty(len(records), dtype=object)
    for row, record in enumerate(records):
        value = _field(record, name, row)
        if value is not None and type(value) is not str:
            raise _wrong(value, "text", row, name)
        column[row] = value or ""
    return column


def _field(record: Mapping[str, Any], name: str, row: int) -> Any:
    try:
        return record[name]
    except KeyError:
        raise RowError(
            f"Row {row} has no field {name!r}. Send null where its value is not known.", row=row, field=name
        ) from None


def _wrong(value: Any, allowed: str, row: int, name: str) -> RowError:
    return RowError(f"Row {row}: {name} must be {allowed} or null, not {shown([value])}.", row=row, field=name)
