"""The objects in DVC's cache, read and hashed without DVC.

DVC takes a cached object that is read-only for whole, and a file that has its size and time as
before for unchanged; whoever reads the bytes hashes them here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from dvc.repo import Repo

from mlops.errors import DataError

__all__ = ["Objects", "listing", "md5_of", "objects_of", "refuse_altered"]

Objects = Callable[[str], Path]
"""Tells where the cache keeps the object of an md5."""


def objects_of(repo: Repo) -> Objects:
    """Return the function that tells where the cache keeps an object."""
    folder = Path(repo.cache.local.path)
    return lambda md5: folder / md5[:2] / md5[2:]


def md5_of(path: Path) -> str:
    """Return the md5 of a file's content, as DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def listing(md5: str, objects: Objects) -> dict[str, str]:
    """Return relative path → md5 of a folder's files, from the cache."""
    refuse_altered(objects(md5), md5.removesuffix(".dir"), objects)
    return {entry["relpath"]: entry["md5"] for entry in json.loads(objects(md5).read_bytes())}


def refuse_altered(path: Path, md5: str, objects: Objects) -> None:
    """Hash the file or folder at `path` and compare it with its recorded `md5`.

    Raises
    ------
    DataError
        Names the first file that is altered or missing.
    """
    if md5.endswith(".dir"):
        for name, each in listing(md5, objects).items():
            refuse_altered(path / name, each, objects)
    elif not path.is_file() or md5_of(path) != md5:
        raise DataError(
            f"{path} is {'not what was recorded' if path.exists() else 'missing'} (md5 {md5}).",
            remedy=f"Remove {objects(md5)} and the file, and bring them from the remote: `dvc pull`.",
        )
