"""What `mlops data log` does: list the versions of the data; and find the one that a person names.

Imports neither Prefect nor MLflow, and looking not even DVC.
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

__all__ = ["FOLDERS", "Chosen", "choose", "kept", "named", "versions"]

FOLDERS = (LAKE, RAW)
"""What DVC points to."""


@dataclass(frozen=True)
class Chosen:
    """A version that somebody named, and the commit whose pointers go with it.

    `commit` is None for what the pointer on disk says and no commit does.
    """

    version: DatasetVersion
    commit: str | None

    def __str__(self) -> str:
        return self.version.md5[:8]


def versions(project: Project, *, most: int | None = None) -> list[Recorded]:
    """Return the versions of the lake that the current branch or the loop's names, newest first.

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


def kept(project: Project) -> list[str]:
    """Return the md5 of each version of the data that may be gone back to.

    That is what the tree's pointers say, and what they said in any commit that a branch, a tag or
    anything else of git's holds.
    """
    git = Tree(project.folder.root).git
    found = [here.md5 for path in FOLDERS if (here := pointed(git.root, path))]
    for text in (text for path in FOLDERS for text in file_history.all_texts(git, f"{path}.dvc")):
        with suppress(DataError):  # as with the marks of a conflict that somebody committed
            found.append(read_pointer(text).md5)
    return list(dict.fromkeys(found))


def named(project: Project) -> Iterator[tuple[str, str]]:
    """Give path and md5 of each version that a branch or the tree itself names, once."""
    for path in FOLDERS:
        here = pointed(project.folder.root, path)
        found = [*([here] if here else []), *(one.version for one in _changes(project, path))]
        for md5 in dict.fromkeys(version.md5 for version in found):
            yield path, md5


def choose(project: Project, name: str | None) -> Chosen:
    """Return the version that a person's word names; what is checked out where there is none.

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
            f"{name!r} begins the version {by_md5.md5[:12]} and names the commit {by_rev.commit}, "
            f"which has the version {by_rev}.",
            remedy="Write more of the one that is meant.",
        )
    if by_md5:
        return Chosen(by_md5, _commit_of(changes, by_md5.md5))
    if by_rev:
        return by_rev
    raise UsageError(
        f"{name!r} names no version of the data, and no commit that has one.",
        remedy="See which there are: `mlops data log`.",
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
    """Return the newest commit that names a version: what else lay beside it is as of then."""
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
        f"The ledger knows no version {wanted!r} of the model; it knows {shown(have) or 'none'}.",
        remedy="See which were trained on what: `mlops data log`.",
    )


def _rows(md5s: Sequence[str], root: Path) -> dict[str, int]:
    """Count the rows of versions by the files' own word, where the cache has them all."""
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
