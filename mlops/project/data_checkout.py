"""Going to a version of the data: its files and pointers on disk, nothing committed."""

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
    """What a checkout brought: the folders that are at the version, and what was not touched.

    `uncommitted` names the pointers that are not as the last commit has them.
    """

    chosen: Chosen
    paths: tuple[str, ...]
    notes: tuple[str, ...]
    uncommitted: tuple[str, ...]


def checkout(project: Project, chosen: Chosen, *, force: bool = False) -> Moved:
    """Bring the lake, and what else has a pointer at that commit, to a version: files and pointers.

    Nothing is committed, as when DVC checks out. Killed midway, the same call again finishes.

    Raises
    ------
    ConflictError
        The folder holds files that are in no version; they are named, and nothing was changed.
    DataError
        Neither the cache nor the remote has the version whole.
    """
    root = project.folder.root
    with project.lock("tree"):
        tree = DvcTree(root)
        store = tree.store()
        wanted, notes = _wanted(project, chosen)
        for path, text in wanted.items():
            held = store.files(read_pointer(text).md5, path)
            _secure(project, store, path, force=force)
            store.ensure({md5: f"{path}/{name}" for name, md5 in held.items()})
        for path, text in wanted.items():
            _write(root / f"{path}.dvc", text)
            tree.checkout(path)
        git = Tree(root)
        if chosen.commit:  # or what was fetched since would not be fetched again
            restore_positions(root, git.read(POSITIONS, chosen.commit))
    moved = [*(f"{path}.dvc" for path in wanted), POSITIONS]
    loose = [path for path in moved if not git.is_clean([path])]
    return Moved(chosen, tuple(wanted), tuple(notes), tuple(loose))


def _wanted(project: Project, chosen: Chosen) -> tuple[dict[str, str], list[str]]:
    """Return path → the pointer's text that go with a version, and what is left as it is."""
    tree, root = Tree(project.folder.root), project.folder.root
    wanted, notes = {}, []
    for path in FOLDERS:
        text = tree.read(f"{path}.dvc", chosen.commit) if chosen.commit else None
        if text is not None:
            wanted[path] = text
        elif path == LAKE and pointed(root, LAKE) == chosen.version:
            wanted[path] = (root / f"{path}.dvc").read_text()
        elif path == LAKE:
            raise UsageError(
                f"No commit of git's names the version {chosen}.",
                remedy="Go to one that `mlops data log` shows.",
            )
        elif (root / f"{path}.dvc").exists():
            notes.append(f"{path} has no version at that commit, and stays as it is.")
    return wanted, notes


def _secure(project: Project, store: Store, path: str, *, force: bool) -> None:
    """See to it that the cache holds whole what a checkout is about to remove from a folder.

    A file may be the last whole copy of what the cache has lost. What no version holds is refused,
    unless it may go.
    """
    root, folder = project.folder.root, project.folder.root / path
    if not folder.exists():
        return
    known: set[str] = set()
    for pointer, md5 in named(project):
        if pointer == path and store.objects(md5).is_file():
            known |= set(store.files(md5, path).values())
    files = [folder] if folder.is_file() else sorted(file for file in folder.rglob("*") if file.is_file())
    # What a checkout that was killed had half written; this one removes it.
    files = [file for file in files if not fnmatchcase(file.name, HALF_WRITTEN)]
    held = {str(file.relative_to(root)): md5_of(file) for file in files}
    loose = [name for name, md5 in held.items() if md5 not in known]
    if loose and not force:
        raise ConflictError(
            f"{path} holds {len(loose)} files that are in no version and would be lost: {shown(loose)}.",
            remedy="Keep them with `dvc add` and a commit, or move them away; --force lets them go.",
        )
    store.ensure({md5: name for name, md5 in held.items() if md5 in known})


def _write(path: Path, text: str) -> None:
    try:
        atomic.write_text(path, text)
    except OSError as exc:
        raise MlopsError(f"{path} cannot be written: {exc.strerror}.") from exc
