"""How often a flow runs: durations, and cron lines in a time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

__all__ = ["Cadence", "check_timezone", "format_duration", "parse_duration"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+)([smhdw])")
# What cronsim and Prefect's own reader take to mean the same: no seconds, no L, W or #.
_FIELD = re.compile(r"[*\d,/-]+|[a-z]{3}([,-][a-z]{3})*", re.IGNORECASE)
_ALLOWED = 'an interval of a minute or more, as 6h or 1d, or a cron line of five fields, as "0 6 * * 1"'


@dataclass(frozen=True)
class Cadence:
    """A cron line, or an interval where `every` is set.

    Parameters
    ----------
    text
        As params.yaml spells it, with single spaces.
    """

    text: str
    every: timedelta | None = None

    @classmethod
    def parse(cls, value: object) -> Cadence:
        """Read ``6h``, ``1d`` or ``0 6 * * 1``.

        Raises
        ------
        ValueError
            It is neither; the message says what is allowed.
        """
        text = " ".join(str(value).split())
        if _DURATION.fullmatch(text):
            every = parse_duration(text)
            if every < timedelta(minutes=1):
                raise ValueError(_ALLOWED)
            return cls(text, every)
        _check_cron(text)
        return cls(text)

    def __str__(self) -> str:
        return f"every {self.text}" if self.every else self.text


def parse_duration(value: Any) -> timedelta:
    """Read ``90s``, ``15m``, ``36h``, ``30d`` or ``4w``; a timedelta is left as it is.

    Raises
    ------
    ValueError
        It is none; the message says what is allowed.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value))
    if match is None:
        raise ValueError("a duration such as 15m, 36h, 30d or 4w")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as exc:
        raise ValueError("a duration below 999999999 days") from exc


def format_duration(length: timedelta) -> str:
    """Spell a length of time as `parse_duration` reads it, in the largest unit that it is whole in."""
    for letter in "dhm":
        unit = parse_duration(f"1{letter}")
        if length % unit == timedelta(0):
            return f"{length // unit}{letter}"
    return f"{ceil(length.total_seconds())}s"


def check_timezone(name: str) -> str:
    """Return the name of a time zone that this machine knows.

    Raises
    ------
    ValueError
        It knows none of that name.
    """
    try:
        ZoneInfo(name)
    # A folder of the database, a path out of it, bytes that are no zone: zoneinfo has an error for each.
    except (OSError, ValueError, KeyError) as exc:
        raise ValueError("a time zone by its IANA name, such as UTC or Europe/Berlin") from exc
    return name


def _check_cron(text: str) -> None:
    fields = text.split(" ")
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
        raise ValueError(_ALLOWED)
    try:
        next(CronSim(text, datetime.now(UTC)))
    except CronSimError as exc:
        raise ValueError(f"{_ALLOWED} ({exc})") from exc
    except StopIteration as exc:
        raise ValueError(f"{_ALLOWED}; this one matches no day") from exc
