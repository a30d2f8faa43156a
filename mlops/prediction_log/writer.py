"""The writing end of the prediction log, which the serving image carries; `prediction_log` reads.

A service appends JSON lines to a segment of its own among the open ones and holds a lock on it
until the segment is full or the service ends.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops.errors import UnavailableError
from mlops.prediction_log.segment import Record, folders, to_lines

__all__ = ["PredictionLog", "close", "hold"]

_ROLL_BYTES = 16 * 1024 * 1024


class PredictionLog:
    """The writing end, one per service process; safe for its threads.

    Parameters
    ----------
    folder
        The log's folder, shared by all services.
    deployment
        Names the segments written here.
    fsync
        Wait for the disk at each write, so that a power loss takes no row.
    roll_bytes
        A segment that reaches this size is closed and another begun.
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
            They could not be written, and none of them is in the log.
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
        """End the segment, so that it can be compacted. Writing again begins another."""
        with self._lock, self._translated():
            self._finish()

    def _append(self, file: int, lines: bytes) -> None:
        try:
            if os.write(file, lines) != len(lines):
                raise OSError("written in part, no space left")
            if self._fsync:
                os.fdatasync(file)
        except OSError:
            # Whoever asked gets no answer, so the log holds no row of it. Where that cannot be
            # mended, the torn line stays the last of its segment.
            self._file = None
            os.ftruncate(file, self._size)
            self._file = file
            raise
        self._size += len(lines)

    def _segment(self) -> int:
        # A file removed under the writer would take rows to nowhere.
        if self._file is not None and (self._size >= self._roll_bytes or not os.fstat(self._file).st_nlink):
            self._finish()
        if self._file is None:
            self._file = self._begin()
        return self._file

    def _begin(self) -> int:
        opened = folders(self._folder).open
        opened.mkdir(parents=True, exist_ok=True)
        while True:
            # In a container every service has the same pid; the clock tells segments apart.
            name = f"{self._deployment}-{os.getpid()}-{time.time_ns()}.jsonl"
            self._path = opened / name
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            self._size = 0
            if hold(file) and self._path.exists():
                return file
            os.close(file)  # taken for a dead writer's in the moment before it was locked

    def _finish(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            if os.fstat(file).st_nlink:
                close(self._path)
        finally:
            os.close(file)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            remedy = "Check that the folder can be written and the disk has space."
            raise UnavailableError("The prediction log", str(self._folder), remedy=remedy, cause=exc) from exc


def hold(file: int) -> bool:
    """Lock an open segment unless its writer holds it; the kernel lets go when a writer dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def close(path: Path) -> None:
    """Put a segment with the ended ones, for a compaction to take."""
    closed = folders(path.parent.parent).closed
    closed.mkdir(exist_ok=True)
    path.rename(closed / path.name)
