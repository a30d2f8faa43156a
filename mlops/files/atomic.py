"""Files that are whole or not there: a reader, and whoever comes after a kill, never sees a part.

What is not whole yet lies beside its place as ``.NAME.PID.tmp``, and nothing else of ours does.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["TEMPORARY", "replaced", "sweep", "sync_folder", "temporary", "write_text"]

TEMPORARY = ".*.tmp"
"""The names of what is not whole yet, as a pattern."""
_AT_WORK = 60.0
"""Seconds for which such a file may be somebody's who is at it."""


def temporary(path: Path) -> Path:
    """Return where to write what is to take the place of `path`: beside it, under a name of this process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replaced(path: Path, *, beside: Path | None = None, durable: bool = False) -> Iterator[Path]:
    """Give a path to write to, and put what was written in the place of `path`; on an error, remove it.

    Parameters
    ----------
    beside
        Where the unfinished file lies if not beside `path`: on the same disk.
    durable
        Outlast a loss of power: content and name are on the disk when this returns.
    """
    partial = temporary(beside / path.name if beside else path)
    sweep(partial.parent, path.name)
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def write_text(path: Path, text: str, *, beside: Path | None = None) -> None:
    """Put `text` in the place of `path`, in UTF-8; its folder must be there.

    Parameters
    ----------
    beside
        As for `replaced`.
    """
    with replaced(path, beside=beside) as partial:
        partial.write_text(text, "utf-8")


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left unfinished of a file or folder, or of all in `folder`.

    Where a process has the number that the name holds, which may be another's by now, what is younger
    than a minute stays.
    """
    # Not by `glob`: a name may hold a bracket.
    ours = re.compile(rf"\.{re.escape(name) if name else '.+'}\.(\d+)\.tmp")
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(folder)):
            match = ours.fullmatch(entry.name)
            with suppress(FileNotFoundError):
                if match and not _at_work(int(match[1]), entry.stat().st_mtime):
                    shutil.rmtree(entry) if entry.is_dir() else Path(entry).unlink()


def _at_work(process: int, written: float) -> bool:
    if time.time() - written > _AT_WORK:
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
