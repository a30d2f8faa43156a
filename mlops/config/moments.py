"""A moment that a person names: in UTC, which it is in where it names no zone."""

from __future__ import annotations

from datetime import UTC, date, datetime

from mlops.errors import UsageError

__all__ = ["parse_moment"]


def parse_moment(value: str | date | datetime) -> datetime:
    """Return a moment in UTC.

    Parameters
    ----------
    value
        A text in ISO 8601, such as ``2013-07-04`` or ``2013-07-04T12:00+02:00``; a date, which begins at
        midnight; a datetime.

    Raises
    ------
    UsageError
        It is no time.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
        elif isinstance(value, datetime):
            moment = value
        else:
            moment = datetime(value.year, value.month, value.day)
    except (ValueError, AttributeError) as exc:
        remedy = "Write it as 2013-04-01 or 2013-04-01T12:00."
        raise UsageError(f"{value!r} is not a time.", remedy=remedy) from exc
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
