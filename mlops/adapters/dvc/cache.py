"""The objects in DVC's cache, read and hashed without DVC.

DVC takes a read-only cached object for intact, and a file of unchanged size and time for
unchanged; whoever reads the bytes hashes them here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import DataError
from mlops.files.hashing import md5_of

if TYPE_CHECKING:
    from dvc.repo import Repo

__all__ = [
    "HALF_WRITTEN",
    "CacheUse",
    "Objects",
    "cached_objects",
    "listing",
    "needed",
    "objects_in",
    "objects_of",
    "outputs",
    "refuse_altered",
    "sweep",
    "sweep_outputs",
    "unfinished_files",
]

_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
_UNFINISHED = re.compile(r"\.[\w-]{22}\.tmp")
"""What of `HALF_WRITTEN` nobody but DVC calls a file, in a folder that is a person's too."""

HALF_WRITTEN = ".*.tmp"
"""What DVC calls a file until it is whole, in the cache as in a folder that it checks out."""

Objects = Callable[[str], Path]
"""Maps an md5 to the path of its object in the cache."""


@dataclass(frozen=True)
class CacheUse:
    """The files of the cache that somebody needs, and the others."""

    needed: Sequence[Path]
    spare: Sequence[Path]


def objects_of(repo: Repo) -> Objects:
    """Return the function that maps an md5 to its path in the cache."""
    return objects_in(Path(repo.cache.local.path))


def objects_in(folder: Path) -> Objects:
    """Return the function that maps an md5 to its path in `folder`."""
    return lambda md5: folder / md5[:2] / md5[2:]


def cached_objects(repo: Repo) -> dict[str, Path]:
    """Return md5 → file of every object in the cache."""
    folder = Path(repo.cache.local.path)
    names = ((file.parent.name + file.name, file) for file in folder.glob("??/*"))
    return {name: file for name, file in names if _OBJECT.fullmatch(name)}


def needed(repo: Repo, commits: Iterable[str] = (), versions: Iterable[str] = ()) -> set[str]:
    """Return the md5 of every object that the files on disk, a branch, a tag or an experiment name.

    Parameters
    ----------
    commits
        Those that count beside them; one that git no longer has is passed over.
    versions
        The md5 of data that counts in any case, with its files.
    """
    known = [commit for commit in commits if _is_known(repo, commit)]
    objects = objects_of(repo)
    wanted = {each for md5 in versions for each in _with_files(md5, objects)}
    everywhere = {"all_branches": True, "all_tags": True, "all_experiments": True}
    for _ in repo.brancher(revs=known, **everywhere):
        for md5 in {out.hash_info.value for out in repo.index.outs if out.use_cache and out.hash_info}:
            if md5 not in wanted:
                wanted.update(_with_files(md5, objects))
    return wanted


def outputs(repo: Repo, *, made: bool = True) -> list[tuple[Path, str]]:
    """Return the data that ``.dvc`` files point to, and what stages `made`: path and md5 of each."""
    from dvc.stage import PipelineStage

    return [
        (Path(out.fs_path), out.hash_info.value)
        for stage in repo.index.stages
        if made or not isinstance(stage, PipelineStage)
        for out in stage.outs
        if out.use_cache and out.hash_info
    ]


def unfinished_files(cache: Path, before: datetime) -> list[Path]:
    """Return half-written files in a cache that nobody has written to since `before`."""
    files = (file for file in cache.rglob(HALF_WRITTEN) if file.is_file())
    return [file for file in files if file.stat().st_mtime < before.timestamp()]


def sweep(cache: Path, before: datetime) -> int:
    """Remove half-written files that killed processes left in a cache; return how many.

    Parameters
    ----------
    before
        Younger ones are kept: somebody may be writing them.
    """
    unfinished = unfinished_files(cache, before)
    for file in unfinished:
        file.unlink(missing_ok=True)
    return len(unfinished)


def sweep_outputs(repo: Repo) -> None:
    """Remove what killed processes left half-written beside the outputs of stages.

    Call it with DVC's lock, under which nobody else writes there.
    """
    for folder in {Path(out.fs_path).parent for stage in repo.index.stages for out in stage.outs}:
        for file in folder.glob(HALF_WRITTEN):
            if _UNFINISHED.fullmatch(file.name):
                file.unlink(missing_ok=True)


def _with_files(md5: str, objects: Objects) -> Iterator[str]:
    yield md5
    if md5.endswith(".dir") and objects(md5).is_file():
        yield from listing(md5, objects).values()  # the files of a corrupt list are unknown


def _is_known(repo: Repo, commit: str) -> bool:
    from scmrepo.exceptions import SCMError

    try:
        repo.scm.resolve_commit(commit)
    except SCMError:
        return False
    return True


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
            remedy=f"Remove {objects(md5)} and the file, then fetch them from the remote: `dvc pull`.",
        )
