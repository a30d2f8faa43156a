"""What `mlops data log` does: list the versions of the data, and resolve a version's name.

Imports neither Prefect nor MLflow; listing does not even import DVC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlops.adapters.dvc.configuration import read_config
from mlops.adapters.git import file_history
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, LOOP_BRANCH, RAW
from mlops.data.history import Pointed, Recorded, find, recorded
from mlops.data.versions import DatasetVersion, pointed, read_pointer
from mlops.errors import DataError, UsageError, shown
from mlops.ledger.records import DataVersioned, ModelRegistered
from mlops.project.context import Project

__all__ = ["FOLDERS", "Chosen", "choose", "named", "reachable", "versions"]

FOLDERS = (LAKE, RAW)
"""The folders that DVC tracks."""


@dataclass(frozen=True)
class Chosen:
    """A named version, and the commit with its pointers.

    `commit` is None for a pointer on disk that is in no commit.
    """

    version: DatasetVersion
    commit: str | None

    def __str__(self) -> str:
        return self.version.md5[:8]


def versions(project: Project, *, most: int | None = None) -> list[Recorded]:
    """Return the versions of the lake on the current branch and the loop's, newest first.

    Parameters
    ----------
    most
        How many, at most.
    """
    changes = _changes(project)
    entries = project.ledger.entries(DataVersioned, ModelRegistered) if project.has_ledger else []
    found = recorded(changes, entries, {}, pointed(project.folder.root, LAKE))[:most]
    rows = _rows([version.md5 for version in found], project.folder.root)
    return recorded(changes, entries, rows, pointed(project.folder.root, LAKE))[:most]


def reachable(project: Project) -> list[str]:
    """Return the md5 of each version of the data that can be checked out.

    These are the versions of the tree's pointers, and of the pointers in any commit that a branch, a tag
    or another ref of git reaches.
    """
    git = Tree(project.folder.root).git
    found = [here.md5 for path in FOLDERS if (here := pointed(git.root, path))]
    for text in (text for path in FOLDERS for text in file_history.all_texts(git, f"{path}.dvc")):
        with suppress(DataError):  # as with the marks of a conflict that somebody committed
            found.append(read_pointer(text).md5)
    return list(dict.fromkeys(found))


def named(project: Project) -> Iterator[tuple[str, str]]:
    """Yield path and md5 of each version on a branch or in the tree, once."""
    for path in FOLDERS:
        here = pointed(project.folder.root, path)
        found = [*([here] if here else []), *(one.version for one in _changes(project, path))]
        for md5 in dict.fromkeys(version.md5 for version in found):
            yield path, md5


def choose(project: Project, name: str | None) -> Chosen:
    """Resolve a version's name; default: the version that is checked out.

    Parameters
    ----------
    name
        The beginning of its md5, a revision of git, or ``model:3`` for what that version of the
        model was trained on.

    Raises
    ------
    UsageError
        It names none, or several.
    """
    if name is None:
        current = pointed(project.folder.root, LAKE)
        if current is None:
            raise DataError("The project has no data yet.", remedy="Add some: `mlops ingest FILE`.")
        return Chosen(current, _commit_of(_changes(project), current.md5))
    if name.startswith("model:"):
        return _of_model(project, name)
    changes = _changes(project)
    known = [one.version for one in changes]
    current = pointed(project.folder.root, LAKE)
    by_md5 = find(name, [*known, *([current] if current else [])])
    by_rev = _at_revision(project, name)
    if by_md5 and by_rev and by_md5.md5 != by_rev.version.md5:
        raise UsageError(
            f"{name!r} is ambiguous: the version {by_md5.md5[:12]}, and the commit {by_rev.commit}, "
            f"which has the version {by_rev}.",
            remedy="Use more characters.",
        )
    if by_md5:
        return Chosen(by_md5, _commit_of(changes, by_md5.md5))
    if by_rev:
        return by_rev
    raise UsageError(
        f"{name!r} is no version of the data, and no commit that has one.",
        remedy="List the versions with `mlops data log`.",
    )


def _changes(project: Project, path: str = LAKE) -> list[Pointed]:
    """Return the commits that changed the pointer to a folder, newest first."""
    tree = Tree(project.folder.root)
    refs = {file_history.current_branch(tree.git): "HEAD", LOOP_BRANCH: tree.ref(LOOP_BRANCH)}
    found = []
    for change in file_history.changes(tree.git, f"{path}.dvc", refs):
        try:
            version = read_pointer(change.text, commit=change.commit.sha)
        except DataError:  # as with the marks of a conflict that somebody committed
            continue
        found.append(Pointed(version, change.commit, change.branches))
    return found


def _commit_of(changes: Sequence[Pointed], md5: str) -> str | None:
    """Return the newest commit that has a version: other pointers are read at that commit too."""
    return next((one.commit.sha for one in changes if one.version.md5 == md5), None)


def _at_revision(project: Project, rev: str) -> Chosen | None:
    tree = Tree(project.folder.root)
    commit = file_history.resolve(tree.git, rev, remote=tree.remote_of(LOOP_BRANCH))
    text = tree.read(f"{LAKE}.dvc", commit) if commit else None
    return Chosen(read_pointer(text, commit=commit), commit) if text else None


def _of_model(project: Project, name: str) -> Chosen:
    wanted = name.removeprefix("model:")
    known = project.ledger.entries(ModelRegistered) if project.has_ledger else []
    for entry in reversed(known):
        if entry.record.version == wanted:
            md5, commit = entry.record.data_md5, entry.record.commit
            of_it = [one.version for one in _changes(project) if one.version.md5 == md5]
            at = _at_revision(project, commit)
            if of_it:
                return Chosen(of_it[0], _commit_of(_changes(project), md5))
            if at is not None and at.version.md5 == md5:
                return at
            return Chosen(DatasetVersion(md5, 0, commit), None)
    have = [entry.record.version for entry in known]
    raise UsageError(
        f"The ledger has no version {wanted!r} of the model; it has {shown(have) or 'none'}.",
        remedy="List the models trained on each version of the data with `mlops data log`.",
    )


def _rows(md5s: Sequence[str], root: Path) -> dict[str, int]:
    """Count the rows of versions by their files' metadata, if the cache has all files."""
    from mlops.adapters.dvc.cache import objects_in
    from mlops.data.snapshot import rows_in

    objects = objects_in(read_config(root / ".dvc").objects)
    of_file: dict[str, int | None] = {}
    found = {}
    for md5 in md5s:
        try:
            listed = json.loads(objects(md5).read_bytes()) if md5.endswith(".dir") else [{"md5": md5}]
        except (OSError, ValueError):
            continue
        for entry in listed:
            if entry["md5"] not in of_file:
                of_file[entry["md5"]] = rows_in(objects(entry["md5"]))
        counts = [of_file[entry["md5"]] for entry in listed]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            found[md5] = sum(known)
    return found
