"""Locks between the processes of one project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from mlops.errors import ConflictError

__all__ = ["hold"]


@contextmanager
def hold(lock: FileLock, *, refusal: str, remedy: str) -> Iterator[None]:
    """Hold a lock, or raise with the message `refusal` if another process does.

    Raises
    ------
    ConflictError
        Another process holds it for longer than the lock's time-out.
    """
    try:
        lock.acquire()
    except Timeout as exc:
        raise ConflictError(refusal, remedy=remedy) from exc
    try:
        yield
    finally:
        lock.release()
