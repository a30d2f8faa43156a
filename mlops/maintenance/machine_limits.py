"""Checks of what this machine allows a process: open files, processes, disk space, temporary files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlops.files.shortage import (
    ENOUGH_OPEN_FILES,
    ENOUGH_PROCESSES,
    LEAST_OPEN_FILES,
    open_files_limit,
    probe,
    processes_limit,
    too_few_files,
)
from mlops.maintenance.packages import Finding

__all__ = ["check", "check_open_files", "check_processes", "check_space", "check_temp"]

_LITTLE_BYTES = 2 * 1024**3
_LITTLE_SHARE = 0.05
_SOCKETS = Path("/tmp")
"""Where the supervisors' sockets are."""


def check() -> list[Finding]:
    """Check the limits of this process, and its folders for temporary files."""
    return [
        check_open_files(open_files_limit()),
        check_processes(processes_limit()),
        check_temp(_temporary(), _SOCKETS),
    ]


def check_open_files(limit: int) -> Finding:
    """Check how many files a process here may have open, the servers among them."""
    if limit >= ENOUGH_OPEN_FILES:
        return Finding("open files", "ok", "enough for the servers")
    error = too_few_files(limit)
    if limit < LEAST_OPEN_FILES:
        return Finding("open files", "fail", error.message, error.remedy)
    return Finding("open files", "warn", f"{limit} at once: enough for few clients", error.remedy)


def check_processes(limit: int) -> Finding:
    """Check how many processes and threads this account may have."""
    if limit >= ENOUGH_PROCESSES:
        return Finding("processes", "ok", "enough for the servers")
    remedy = f"Raise the limit to {ENOUGH_PROCESSES} or more: `ulimit -u`, or the container's --pids-limit."
    return Finding("processes", "warn", f"this account may have {limit}, threads among them", remedy)


def check_temp(folder: Path, sockets: Path) -> Finding:
    """Check that the folders of temporary files and of the supervisors' sockets can be written to."""
    remedies = {sockets: "Make it writable: the supervisors create their sockets there."}
    remedies[folder] = "Make it writable, or set TMPDIR to a writable folder."
    paths = list(dict.fromkeys((folder, sockets)))
    for path in paths:
        if full := probe(path):
            return Finding("temp", "fail", full.message, full.remedy)
        try:
            with tempfile.TemporaryFile(dir=path) as file:
                file.write(b"mlops")
        except OSError as exc:
            return Finding("temp", "fail", f"{path} is not writable: {exc.strerror}", remedies[path])
    return Finding("temp", "ok", f"{' and '.join(map(str, paths))} writable")


def check_space(folder: Path, total: int, free: int) -> Finding:
    """Check the free space of a folder's disk, in bytes, and that it takes any."""
    if full := probe(folder):
        return Finding("disk", "fail", full.message, full.remedy)
    detail = f"{free / 1024**3:.1f} GB of {total / 1024**3:.0f} GB free"
    if free < _LITTLE_BYTES or free < _LITTLE_SHARE * total:
        return Finding("disk", "warn", detail, "See what `mlops gc` can delete.")
    return Finding("disk", "ok", detail)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # it looks for one that can be written
        return Path("/tmp")
