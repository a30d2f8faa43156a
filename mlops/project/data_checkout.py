"""Check out a version of the data: its files and pointers on disk, nothing committed."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from mlops.adapters.dvc.cache import HALF_WRITTEN
from mlops.adapters.dvc.object_store import Store
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, POSITIONS
from mlops.data.versions import pointed, read_pointer
from mlops.errors import ConflictError, MlopsError, UsageError, shown
from mlops.files import atomic
from mlops.files.hashing import md5_of
from mlops.project.context import Project
from mlops.project.data_log import FOLDERS, Chosen, named
from mlops.project.source_pull import restore_positions

__all__ = ["Moved", "checkout"]


@dataclass(frozen=True)
class Moved:
    """The result of a checkout: the folders at the version, and notes on those left unchanged.

    `uncommitted` lists the pointers that differ from the last commit.
    """

    chosen: Chosen
    paths: tuple[str, ...]
    notes: tuple[str, ...]
    uncommitted: tuple[str, ...]


def checkout(project: Project, chosen: Chosen, *, force: bool = False) -> Moved:
    """Check out a version of the lake, and the other folders with a pointer at its commit.

    Nothing is committed, as with `dvc checkout`. After a kill, the same call finishes.

    Raises
    ------
    ConflictError
        The folder has files that are in no version; they are named, and nothing was changed.
    DataError
        Neither the cache nor the remote has all of the version.
    """
    root = project.folder.root
    with project.lock("tree"):
        tree = DvcTree(root)
        store = tree.store()
        wanted, notes = _wanted(project, chosen)
        for path, text in wanted.items():
            files = store.files(read_pointer(text).md5, path)
            _check_unversioned(project, store, path, force=force)
            store.ensure({md5: f"{path}/{name}" for name, md5 in files.items()})
        for path, text in wanted.items():
            _write(root / f"{path}.dvc", text)
            tree.checkout(path)
        git = Tree(root)
        if chosen.commit:  # otherwise tables fetched since would not be fetched again
            restore_positions(root, git.read(POSITIONS, chosen.commit))
    moved = [*(f"{path}.dvc" for path in wanted), POSITIONS]
    loose = [path for path in moved if not git.is_clean([path])]
    return Moved(chosen, tuple(wanted), tuple(notes), tuple(loose))


def _wanted(project: Project, chosen: Chosen) -> tuple[dict[str, str], list[str]]:
    """Return the pointers' texts of a version, by path, and notes on folders left unchanged."""
    tree, root = Tree(project.folder.root), project.folder.root
    wanted, notes = {}, []
    for path in FOLDERS:
        text = tree.read(f"{path}.dvc", chosen.commit) if chosen.commit else None
        if text is not None:
            wanted[path] = text
        elif path == LAKE and pointed(root, LAKE) == chosen.version:
            wanted[path] = (root / f"{path}.dvc").read_text("utf-8")
        elif path == LAKE:
            raise UsageError(
                f"No git commit has the version {chosen}.",
                remedy="Choose one that `mlops data log` shows.",
            )
        elif (root / f"{path}.dvc").exists():
            notes.append(f"{path} has no version at that commit, and is unchanged.")
    return wanted, notes


def _check_unversioned(project: Project, store: Store, path: str, *, force: bool) -> None:
    """Check that the cache has every file that a checkout is about to remove from a folder.

    A file on disk may be the last intact copy of a lost cache object: it is put back into the cache.
    Files in no version are rejected, unless forced.
    """
    root, folder = project.folder.root, project.folder.root / path
    if not folder.exists():
        return
    known: set[str] = set()
    for pointer, md5 in named(project):
        if pointer == path and store.objects(md5).is_file():
            known |= set(store.files(md5, path).values())
    files = [folder] if folder.is_file() else sorted(file for file in folder.rglob("*") if file.is_file())
    # Half-written files of a killed checkout; this one removes them.
    files = [file for file in files if not fnmatchcase(file.name, HALF_WRITTEN)]
    md5s = {str(file.relative_to(root)): md5_of(file) for file in files}
    loose = [name for name, md5 in md5s.items() if md5 not in known]
    if loose and not force:
        raise ConflictError(
            f"{path} has {len(loose)} files that are in no version and would be lost: {shown(loose)}.",
            remedy="Keep them with `dvc add` and a commit, or move them away; --force deletes them.",
        )
    store.ensure({md5: name for name, md5 in md5s.items() if md5 in known})


def _write(path: Path, text: str) -> None:
    try:
        atomic.write_text(path, text)
    except OSError as exc:
        raise MlopsError(f"{path} cannot be written: {exc.strerror}.") from exc
