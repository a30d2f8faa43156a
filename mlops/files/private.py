"""What is for the person's eyes alone: folders of mode 0700, files of mode 0600, whatever the umask.

The folder keeps others out from the start. That its files say so too matters once they are copied elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

__all__ = ["OTHERS", "close_to_others", "create_file", "create_folder", "current_umask", "is_open", "tighten"]

OTHERS = 0o077
"""The rights that the group and others may have."""


def create_folder(path: Path) -> Path:
    """Make a folder, if it is not there, that nobody else can enter; return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(path)
    return path


def create_file(path: Path) -> None:
    """Make an empty file that nobody else can read; one that is there is closed to them."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    close_to_others(path)


def close_to_others(path: Path | os.DirEntry[str]) -> None:
    """Take their rights from the group and others; what is not ours to change, or is a link, stays."""
    with suppress(OSError):
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & OTHERS:
            Path(path).chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


def is_open(path: Path) -> bool:
    """Tell whether the group or others have any right on a file or folder."""
    return bool(path.lstat().st_mode & OTHERS)


def tighten(folder: Path, *, skip: Collection[str] = ()) -> None:
    """Close a folder and all in it to others, but for what lies in folders directly below named in `skip`."""
    close_to_others(folder)
    pending = [folder]
    while pending:
        at = pending.pop()
        with suppress(OSError), os.scandir(at) as entries:
            for entry in entries:
                close_to_others(entry)
                if entry.is_dir(follow_symlinks=False) and not (at == folder and entry.name in skip):
                    pending.append(Path(entry))


def current_umask() -> int:
    """Return the umask of this process."""
    umask = os.umask(OTHERS)
    os.umask(umask)
    return umask
