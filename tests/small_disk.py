"""A real disk of a few megabytes, to be filled: a tmpfs, mounted by root or by sudo without a password."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = ["SmallDisk", "can_mount", "small_disk"]


class SmallDisk:
    """A mounted folder, with the file that fills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave not a byte free."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1024**2, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Take the filling out."""
        self._filler.unlink()

    def read_only(self, on: bool = True) -> None:
        """Mount it for reading alone, or for writing again."""
        _run("mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.folder))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk at a folder that is made for it, and unmount it in the end."""
    folder.mkdir(parents=True)
    owner = f"uid={os.getuid()},gid={os.getgid()},mode=0755"
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{owner}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "-l", str(folder))


@cache
def can_mount() -> bool:
    """Return whether this machine lets us mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder, "disk"), 1):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def _run(*words: str) -> None:
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, *words], check=True, capture_output=True)
