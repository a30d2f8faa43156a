"""How far a source was read: the greatest value of a column that grows, as a JSON value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mlops.errors import DataError
from mlops.feature_types.cells import is_whole, plain

__all__ = ["greatest", "later", "value_of"]


def greatest(position: Any, values: Iterable[Any], column: str) -> Any:
    """Return the position after these values: the greatest of them, or `position` where none is beyond it.

    Raises
    ------
    DataError
        The values cannot be compared with one another, or with the position.
    """
    best = value_of(position)
    try:
        for value in values:
            if value is not None and value == value and (best is None or value > best):
                best = value
    except TypeError as exc:
        raise DataError(
            f"The cursor {column} holds values that cannot be compared: {exc}.",
            remedy="Name a column of times, numbers or text under data.source.cursor.",
        ) from exc
    return _position(best)


def value_of(position: Any) -> Any:
    """Return a position as the value that the source itself compares with."""
    if isinstance(position, Mapping) and "time" in position:
        return datetime.fromisoformat(position["time"])
    if isinstance(position, Mapping) and "date" in position:
        return date.fromisoformat(position["date"])
    if isinstance(position, Mapping) and "number" in position:
        return Decimal(position["number"])
    return position


def later(one: Any, other: Any) -> Any:
    """Return the position after taking both: the later of the two, or the files of both together."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, Mapping) and isinstance(other, Mapping) and "files" in one and "files" in other:
        return {"files": {**one["files"], **other["files"]}}
    if isinstance(one, Mapping) and "version" in one:
        return max(one, other, key=lambda position: position["version"])
    return one if value_of(one) >= value_of(other) else other


def _position(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        # Not as a float, which may lie beyond values that are still to come.
        return int(value) if is_whole(value) else {"number": str(value)}
    return plain(value)
