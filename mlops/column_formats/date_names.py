"""Which columns' names say that they hold days or moments."""

from __future__ import annotations

import re

__all__ = ["is_date_name", "is_time_name"]

_DATE = re.compile(r"(^|[_\s.-])((date|datetime|timestamp)($|[_\s.-])|(at|on)$)|date$", re.IGNORECASE)
"""As sold_on, date or orderdate."""
_TIME = re.compile(r"(^|[_\s.-])(time|ts|epoch|when|created|updated|modified)($|[_\s.-])|timestamp", re.I)
_DATE_TAIL = re.compile(r"[a-z](DateTime|Timestamp|At|On)$")
_TIME_TAIL = re.compile(r"[a-z]Time$")
"""As createdAt."""
_LENGTH = re.compile(
    r"duration|elapsed|total|mean|avg|average|delay|wait|response|run_?time|life_?time", re.I
)
"""What takes its time is no moment."""


def is_date_name(name: str) -> bool:
    """Return whether a column's name is that of a day."""
    return bool(_DATE.search(name) or _DATE_TAIL.search(name)) and not _LENGTH.search(name)


def is_time_name(name: str) -> bool:
    """Return whether a column's name is that of a day or of a moment."""
    timed = bool(_TIME.search(name) or _TIME_TAIL.search(name)) and not _LENGTH.search(name)
    return timed or is_date_name(name)
