"""What a replay computed, by digest: in memory, or in a folder that outlives a kill and is shared."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from mlops.files import atomic

__all__ = ["Disk", "FitCache", "Memory"]

log = logging.getLogger("mlops")
T = TypeVar("T")


class FitCache(Protocol):
    """Keeps what is expensive to make."""

    def obtain(self, digest: str, make: Callable[[], T]) -> T:
        """Return what is kept by this digest; make and keep it where it is not."""
        ...


class Memory:
    """Keeps everything while the process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def obtain(self, digest: str, make: Callable[[], T]) -> T:
        """Return what is kept by this digest; make and keep it where it is not."""
        if digest not in self._kept:
            self._kept[digest] = make()
        return cast(T, self._kept[digest])


class Disk:
    """Keeps everything in a folder, which several processes may share.

    Read by pickle: the folder is the project's own, and holds what its own module fitted a moment ago.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def obtain(self, digest: str, make: Callable[[], T]) -> T:
        """Return what is kept by this digest; make and keep it where it is not."""
        from filelock import FileLock

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / digest[:32]
        if path.is_file():
            return cast(T, _read(path))
        with FileLock(path.with_suffix(".lock")):  # another policy may be at it
            if path.is_file():
                return cast(T, _read(path))
            made = make()
            _write(path, made)
        return made

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _read(path: Path) -> Any:
    import joblib

    return joblib.load(path)


def _write(path: Path, value: Any) -> None:
    import joblib

    try:
        with atomic.replaced(path) as draft:
            joblib.dump(value, draft)
    except Exception as exc:  # whatever a project's own model cannot be pickled for
        log.debug("%s is not kept: %s", path.name, exc)
