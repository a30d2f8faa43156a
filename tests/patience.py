"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["EVENT_PATIENCE", "until"]

EVENT_PATIENCE = 240.0
"""Seconds; Prefect's queue of events stands still for more than a minute where all cores are busy."""

T = TypeVar("T")


def until(what: str, seen: Callable[[], T], *, patience: float = EVENT_PATIENCE, pause: float = 0.05) -> T:
    """Return what `seen` gives once it gives something; fail past the deadline.

    Parameters
    ----------
    what
        Is missed, says the failure.
    patience
        Seconds.
    pause
        Seconds between two looks.
    """
    deadline = time.monotonic() + patience
    while not (found := seen()):
        if time.monotonic() > deadline:
            raise AssertionError(f"in {patience:.0f} s there was no {what}")
        time.sleep(pause)
    return found
