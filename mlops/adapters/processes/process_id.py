"""The name of a process that no other gets: a pid alone is given out again, and each machine has it."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

__all__ = ["find", "machine", "name"]

_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_CLOCK_SECONDS = 2.0
"""By how much a process's start may be told differently: it is reckoned from a clock that is set."""


def machine() -> str:
    """Name this machine by the id that was made for it, which outlives another host name.

    Where it has none, as in most containers, by its host name.
    """
    ids = (file.read_text().strip() for file in _IDS if file.is_file())
    return next((id for id in ids if len(id) == 32), platform.node())


def name(process: psutil.Process) -> str:
    """Name a process by its pid and its start."""
    return f"{process.pid}@{process.create_time():.2f}"


def find(name: str) -> psutil.Process | None:
    """Return the process of this name where it lives still; a child of ours that ended is reaped."""
    pid, _, began = name.partition("@")
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(0)
        elif abs(process.create_time() - float(began)) < _CLOCK_SECONDS:
            return process
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return None
