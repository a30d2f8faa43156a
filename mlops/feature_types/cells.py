"""One cell of a table: as Python has it, as JSON has it, and how it is spelled where it names something.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

__all__ = ["code", "is_number", "is_whole", "jsonable", "plain", "spelled"]


@cache
def _numpy() -> Any:
    """Return numpy, imported with the first cell: an import statement per cell doubles its cost."""
    import numpy

    return numpy


def plain(value: Any) -> Any:
    """Return a cell as Python's own type has it, not as numpy's."""
    return value.item() if isinstance(value, _numpy().generic) else value


def is_number(value: Any) -> bool:
    """Return whether a cell is a number of whatever type; a boolean is none."""
    number = isinstance(value, int | float | _numpy().number | Decimal)
    return number and not isinstance(value, bool | _numpy().bool_)


def is_whole(value: Any) -> bool:
    """Return whether a cell is a whole number of whatever type: 7, and 7.0 as well."""
    if not is_number(value):
        return False
    return isinstance(value, int | _numpy().integer) or (isfinite(value) and value == int(value))


def code(value: Any) -> Any:
    """Return a cell that names something as Python's own type: 7.0, as it is read beside a gap, is 7."""
    return int(value) if is_whole(value) else plain(value)


def spelled(value: Any) -> str:
    """Return the text of a cell that names something: a category, a key, a label.

    It is the same of whatever type a file has it: 7 and 7.0 are ``7``, a decimal of 8.50 and a float
    of 8.5 are ``8.5``, a boolean is ``true`` or ``false``. What is text stays as it is.
    """
    if isinstance(value, str):
        return value
    if is_whole(value):
        return str(int(value))
    if isinstance(value, bool | _numpy().bool_):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def jsonable(value: Any) -> Any:
    """Return a cell as JSON has it; what JSON has no value for, as an infinity, becomes text."""
    value = plain(value)
    if value is None or value != value:
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal) and isfinite(value):
        return code(value) if is_whole(value) else float(value)
    if isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    return str(value)
