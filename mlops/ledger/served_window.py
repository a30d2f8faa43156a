"""A stretch of event time, and the served rows in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["ServedWindow"]


@dataclass(frozen=True)
class ServedWindow:
    """The served rows that are judged: event times in [start, end), and how many."""

    start: datetime
    end: datetime
    rows: int
