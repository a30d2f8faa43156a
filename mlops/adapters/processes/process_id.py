"""A unique name of a process: pids alone are reused, and each machine has its own."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

__all__ = ["find", "machine", "name"]

_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_CLOCK_TOLERANCE = 2.0
"""Seconds by which a process's start time may differ: it is computed from a clock that is adjusted."""


def machine() -> str:
    """Return this machine's id, which survives a change of host name.

    Where it has none, as in most containers, the host name.
    """
    ids = (file.read_text("utf-8").strip() for file in _IDS if file.is_file())
    return next((id for id in ids if len(id) == 32), platform.node())


def name(process: psutil.Process) -> str:
    """Return a process's name: pid and start time."""
    return f"{process.pid}@{process.create_time():.2f}"


def find(name: str) -> psutil.Process | None:
    """Return the process of this name if it is alive; a zombie child of ours is reaped."""
    pid, _, started = name.partition("@")
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(0)
        elif abs(process.create_time() - float(started)) < _CLOCK_TOLERANCE:
            return process
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return None
