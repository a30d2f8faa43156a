"""Writer of the prediction log, part of the serving image; see `mlops.prediction_log.reader`.

Each service appends JSON lines to its own open segment, in a folder of its own, and locks it until the
segment is full or the service ends. A container sees no other folder of the log.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops.errors import UnavailableError
from mlops.prediction_log.segment import Record, folders, open_folder, to_lines

__all__ = ["PredictionLog", "close", "try_lock"]

_ROLL_BYTES = 16 * 1024 * 1024


class PredictionLog:
    """The writer of one service process; thread-safe.

    Parameters
    ----------
    folder
        The log's folder, shared by all services.
    deployment
        Name of its own folder there, and prefix of the segments' names.
    fsync
        Sync to disk at each write, so that a power loss loses no row.
    roll_bytes
        Size at which a segment is closed and a new one opened.
    """

    def __init__(
        self, folder: Path, deployment: str, *, fsync: bool = False, roll_bytes: int = _ROLL_BYTES
    ) -> None:
        self._folder = folder
        self._deployment = deployment
        self._fsync = fsync
        self._roll_bytes = roll_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path = folder
        self._size = 0

    def write(self, records: Sequence[Record]) -> None:
        """Append `records` in a single system call; they are in the log when this returns.

        Raises
        ------
        UnavailableError
            The write failed; none of the records is in the log.
        """
        lines = to_lines(records)
        with self._lock, self._translated():
            self._append(self._segment(), lines)

    def check(self) -> None:
        """Raise `UnavailableError` where `write` would."""
        with self._lock, self._translated():
            if os.fstatvfs(self._segment()).f_bavail == 0:
                raise OSError("no space left")

    def close(self) -> None:
        """Close the segment, so that it can be compacted. The next write opens a new one."""
        with self._lock, self._translated():
            self._finish()

    def _append(self, file: int, lines: bytes) -> None:
        try:
            if os.write(file, lines) != len(lines):
                raise OSError("partial write, no space left")
            if self._fsync:
                os.fdatasync(file)
        except OSError:
            # The request fails, so its rows must not be in the log. If the truncation fails too, the
            # torn line stays the last of its segment.
            self._file = None
            os.ftruncate(file, self._size)
            self._file = file
            raise
        self._size += len(lines)

    def _segment(self) -> int:
        # A deleted file would lose the rows written to it.
        if self._file is not None and (self._size >= self._roll_bytes or not os.fstat(self._file).st_nlink):
            self._finish()
        if self._file is None:
            self._file = self._begin()
        return self._file

    def _begin(self) -> int:
        folder = open_folder(self._folder, self._deployment)
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            # In containers every service has the same pid; the time makes names unique.
            name = f"{self._deployment}-{os.getpid()}-{time.time_ns()}.jsonl"
            self._path = folder / name
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            self._size = 0
            if try_lock(file) and self._path.exists():
                return file
            os.close(file)  # a compaction closed it as abandoned before it was locked

    def _finish(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            if os.fstat(file).st_nlink:
                # A container sees its own folder only. Without its lock the segment is closed all the
                # same: the next compaction moves it.
                with suppress(OSError):
                    close(self._path)
        finally:
            os.close(file)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            remedy = "Check that the folder is writable and the disk has space."
            raise UnavailableError("The prediction log", str(self._folder), remedy=remedy, cause=exc) from exc


def try_lock(file: int) -> bool:
    """Lock an open segment unless its writer has it locked; the kernel unlocks it when a writer dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def close(path: Path) -> None:
    """Move a segment to the closed ones, for compaction."""
    closed = folders(path.parents[2]).closed
    closed.mkdir(exist_ok=True)
    path.rename(closed / path.name)
