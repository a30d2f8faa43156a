"""What a machine has run out of, read from an exception: space, quota, open files, processes.

Whichever library met it, the system's own number or words are in the exception or its causes.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from mlops.errors import ShortageError
from mlops.files import atomic

__all__ = [
    "ENOUGH_OPEN_FILES",
    "ENOUGH_PROCESSES",
    "LEAST_OPEN_FILES",
    "find_shortage",
    "open_files_limit",
    "probe",
    "processes_limit",
    "too_few_files",
]

LEAST_OPEN_FILES, ENOUGH_OPEN_FILES = 128, 1024
"""Open files that the loop starts with, and that it has enough with for a hundred clients at once."""
ENOUGH_PROCESSES = 512
"""Processes and threads that the account of a loop should be allowed."""

_FREE = "Free some space there, see what `mlops gc` can delete, and run the same command again."
_PROBE_BYTES = 64 * 1024
_SPACE, _QUOTA, _READ_ONLY, _SIZE, _FILES, _PROCESSES = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.EAGAIN,
)  # fmt: skip
_WORDS = {
    _SPACE: re.compile(
        r"no space left on device|database or disk is full|out of diskspace|no usable temporary",
        re.IGNORECASE,
    ),
    _QUOTA: re.compile(r"disk quota exceeded", re.IGNORECASE),
    _READ_ONLY: re.compile(r"read-only file system|write a readonly database", re.IGNORECASE),
    _SIZE: re.compile(r"\bfile too large\b", re.IGNORECASE),
    _FILES: re.compile(r"too many open files", re.IGNORECASE),
    _PROCESSES: re.compile(r"can't start new thread|cannot fork|unable to fork", re.IGNORECASE),
}
_OF_SQLITE = {sqlite3.SQLITE_FULL: _SPACE, sqlite3.SQLITE_READONLY: _READ_ONLY}
_PATH = re.compile(r"'(/[^']+)'")


def find_shortage(exc: BaseException, at: Path) -> ShortageError | None:
    """Return what the machine ran out of, if that is why an exception was raised.

    Parameters
    ----------
    at
        Where the work was, for an exception that names no path.
    """
    for each in _causes(exc):
        if isinstance(each, ShortageError):
            return each
        number = _number(each)
        if number is not None:
            name = getattr(each, "filename", None)
            return _error(number, Path(os.fsdecode(name)) if isinstance(name, str | bytes) else at)
    texts = [(number, str(each)) for each in _causes(exc) for number in _numbers_in(str(each))]
    for number, text in texts[:1]:
        path = _PATH.search(text)
        found = _error(number, Path(path[1]) if path else at)
        # By the words alone it may have been another machine's disk: a server's, an engine's.
        elsewhere = number in (_SPACE, _QUOTA, _READ_ONLY) and probe(Path(path[1]) if path else at) is None
        return ShortageError(f"The disk took no more: {text}", remedy=_FREE) if elsewhere else found
    return None


def probe(folder: Path) -> ShortageError | None:
    """Return why nothing can be written to the disk of a folder, None where some bytes can."""
    folder = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _PROBE_BYTES)
            file.flush()
    except OSError as exc:
        return find_shortage(exc, folder)
    return None


def open_files_limit() -> int:
    """Return how many files this process and those that it starts may have open, at the most."""
    return _hard(resource.RLIMIT_NOFILE)


def processes_limit() -> int:
    """Return how many processes and threads this account may have, at the most."""
    return _hard(resource.RLIMIT_NPROC)


def too_few_files(limit: int) -> ShortageError:
    """Return the error for a limit of open files that is too low."""
    return ShortageError(
        f"A process may have only {limit} files open here.",
        remedy=f"Raise the limit, `ulimit -n {ENOUGH_OPEN_FILES}`: the hard one is set in "
        "/etc/security/limits.conf, by a unit's LimitNOFILE or a container's --ulimit.",
    )


def _hard(limit: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Give an exception, its causes and what was being handled, each once."""
    pending, seen = [exc], set()
    while pending:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        nested = list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
        others = (each.__cause__, each.__context__, getattr(each, "orig", None), *nested)
        pending += [other for other in others if isinstance(other, BaseException)]


def _numbers_in(text: str) -> list[int]:
    return [number for number, words in _WORDS.items() if words.search(text)]


def _number(exc: BaseException) -> int | None:
    if isinstance(exc, sqlite3.Error):
        return _OF_SQLITE.get((getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF)
    if isinstance(exc, BlockingIOError):  # of a lock as well as of a fork
        return None
    number = exc.errno if isinstance(exc, OSError) else None
    return number if number in _WORDS else None


def _error(number: int, path: Path) -> ShortageError:
    if fnmatch(path.name, atomic.TEMPORARY):  # which is there no more
        path = path.parent
    if number == _FILES:
        return too_few_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if number == _PROCESSES:
        return ShortageError(
            "No further process or thread can be started: the limit of this account or container is reached.",
            remedy="End some, or raise the limit (`ulimit -u`), and run the same command again.",
        )
    if number == _READ_ONLY:
        return ShortageError(
            f"The disk of {path} is mounted read-only.",
            remedy="Mount it for writing, and run the same command again.",
        )
    if number == _SIZE:
        return ShortageError(
            f"{path} exceeds the size that a file may have here.",
            remedy="Raise the limit (`ulimit -f`), and run the same command again.",
        )
    what = "The disk quota is used up" if number == _QUOTA else "No space is left"
    return ShortageError(f"{what} on the disk of {path} ({_free(path)} free).", remedy=_FREE)


def _free(path: Path) -> str:
    free = shutil.disk_usage(_existing(path)).free
    return f"{free / 1024**2:.1f} MB" if free < 1024**3 else f"{free / 1024**3:.1f} GB"


def _existing(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.is_dir()), Path("/"))
