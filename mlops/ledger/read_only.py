"""The rows of a ledger on a disk that takes nothing: a copy of its SQLite file in memory.

Beside a database in WAL mode SQLite needs a file of shared memory even to read, so that on a full disk it
opens none. The copy is made elsewhere, with the write-ahead log, whose rows are not in the file yet.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

__all__ = ["read_only_copy"]

_PLACES = (None, "/dev/shm", "/tmp", "/var/tmp", "/run")
"""Folders for the copy, the first that has room; None is what the environment says."""


def read_only_copy(file: Path) -> sqlite3.Connection | None:
    """Return the database in memory; None where there is none, or no place to copy it through."""
    if not file.is_file() or file.stat().st_size == 0:
        return None
    for place in _PLACES:
        with suppress(OSError, sqlite3.Error), tempfile.TemporaryDirectory(dir=place) as folder:
            for each in (file, file.with_name(f"{file.name}-wal")):
                if each.is_file():
                    shutil.copyfile(each, Path(folder, each.name))
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            with closing(sqlite3.connect(Path(folder, file.name))) as copy:
                copy.backup(memory)
            return memory
    return None
