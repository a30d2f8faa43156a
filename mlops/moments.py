"""Moments: a time that names no zone is in UTC, whoever reads it from whatever."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["after", "as_utc", "from_text", "last_before", "parse_moment", "to_times"]


def as_utc(moment: datetime) -> datetime:
    """Return a moment in UTC, which it is in where it names no zone."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


_YEARS = range(1000, 9000)
"""What a person may name: windows are reckoned from it, and Python's years are 1 to 9999."""
SMALLEST = timedelta(microseconds=1)
"""Between a moment and the next."""


def after(moment: datetime) -> datetime:
    """Return the end, exclusive, of a window whose last row lies at `moment`: all windows are half-open."""
    return moment + SMALLEST


def last_before(end: datetime) -> datetime:
    """Return the last moment of a window that ends, exclusively, at `end`: what a person calls its end."""
    return end - SMALLEST


def from_text(text: str) -> datetime:
    """Return a moment written in ISO 8601, in UTC.

    Raises
    ------
    ValueError
        It is no time, or none that UTC has.
    """
    try:
        return as_utc(datetime.fromisoformat(text))
    except OverflowError as exc:
        raise ValueError(f"{text} is beyond the years 1 to 9999 in UTC") from exc


def to_times(values: Any) -> pd.Series[Any]:
    """Return values as times in UTC; what is no time is missing."""
    import pandas as pd

    return pd.Series(pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601"))


def parse_moment(value: str | date | datetime) -> datetime:
    """Return a moment that a person names, in UTC.

    Parameters
    ----------
    value
        A text in ISO 8601, such as ``2013-07-04`` or ``2013-07-04T12:00+02:00``; a date, which begins at
        midnight; a datetime.

    Raises
    ------
    UsageError
        It is no time, or one so far away that the windows around it have none.
    """
    try:
        if isinstance(value, str):
            moment = from_text(value)
        else:
            day = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            moment = as_utc(day)
    except (ValueError, AttributeError) as exc:
        remedy = "Write it as 2013-04-01 or 2013-04-01T12:00."
        raise UsageError(f"{value!r} is not a time.", remedy=remedy) from exc
    if moment.year not in _YEARS:
        raise UsageError(
            f"{value!s} is too far away.",
            remedy=f"Name a time of the years {_YEARS.start} to {_YEARS.stop - 1}.",
        )
    return moment
