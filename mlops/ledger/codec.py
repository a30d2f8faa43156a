"""Frozen dataclasses to JSON values and back, strictly: an undeclared field is refused by its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mlops.moments import from_text

__all__ = ["UnreadableValueError", "decode", "encode", "utc_text"]

T = TypeVar("T")


class UnreadableValueError(ValueError):
    """A stored value is not what its class declares: the message names the path and what stands there."""


def utc_text(moment: datetime) -> str:
    """Return a time as the ledger writes it: ISO 8601, UTC."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone: the ledger holds UTC")
    return moment.astimezone(UTC).isoformat()


def encode(value: Any) -> Any:
    """Return a value of a record as a JSON value."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Mapping):
        return {name: encode(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [encode(each) for each in value]
    return value


def decode(kind: type[T], value: Any, path: str = "") -> T:
    """Read what `encode` wrote of an instance of a dataclass.

    Parameters
    ----------
    path
        Where the value stands, for messages.

    Raises
    ------
    UnreadableValueError
        A field is unknown, missing or of another type.
    """
    if not isinstance(value, Mapping):
        raise UnreadableValueError(f"{path or kind.__name__} is {value!r}, no object")
    of: Any = kind
    declared, hints = _fields(of), _hints(of)
    for name in value:
        if name not in declared:
            raise UnreadableValueError(f"the field {_join(path, name)} is unknown")
    for name, field in declared.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise UnreadableValueError(f"the field {_join(path, name)} is missing")
    return kind(**{name: _value(hints[name], each, _join(path, name)) for name, each in value.items()})


def _value(hint: Any, value: Any, path: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        (only,) = (part for part in parts if part is not NoneType)
        return _value(only, value, path)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(parts[0], each, f"{path}[{n}]") for n, each in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {name: _value(parts[1], each, _join(path, name)) for name, each in value.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value, path)
    if hint is datetime and isinstance(value, str):
        return _moment(value, path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise UnreadableValueError(f"the field {path} is {value!r}, not {getattr(hint, '__name__', hint)}")


def _moment(value: str, path: str) -> datetime:
    try:
        return from_text(value)
    except ValueError as exc:
        raise UnreadableValueError(f"the field {path} is {value!r}, no time") from exc


@cache
def _fields(kind: type) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(kind)}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
