"""The versions of a small file in git's history: one git process for all commits, one for all texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops.adapters.git.command import Git
from mlops.data.versions import Commit

__all__ = ["Change", "all_texts", "changes", "current_branch", "resolve"]


@dataclass(frozen=True)
class Change:
    """A commit that changed the file, the file's text in it, and the branches that contain the commit."""

    commit: Commit
    text: str
    branches: tuple[str, ...]


def changes(git: Git, path: str, refs: Mapping[str, str]) -> list[Change]:
    """Return the commits that changed `path`, newest first; those that removed it are left out.

    Parameters
    ----------
    refs
        Branch name → ref; refs that do not exist are skipped.
    """
    existing = {name: ref for name, ref in refs.items() if git.query("rev-parse", "-q", "--verify", ref)}
    if not existing:
        return []
    # Not simplified: a merge takes the file from one side, and the other side's versions count too.
    walk = ("log", "--full-history", "--date-order")
    containing = {
        name: set(git.output(*walk, "--format=%H", ref, "--", path).split()) for name, ref in existing.items()
    }
    records = git.output(*walk, "--format=%H%x00%P%x00%ct%x00%B%x01", *existing.values(), "--", path)
    commits = [_commit(record) for record in records.split("\x01") if record.strip()]
    texts = _texts(git, path, [commit.sha for commit in commits])
    return [
        Change(
            commit, texts[commit.sha], tuple(name for name, shas in containing.items() if commit.sha in shas)
        )
        for commit in commits
        if commit.sha in texts
    ]


def all_texts(git: Git, path: str) -> list[str]:
    """Return every distinct text of `path` in any commit that a branch, tag or other ref reaches."""
    shas = git.query("log", "--full-history", "--all", "--format=%H", "--", path) or ""
    return list(dict.fromkeys(_texts(git, path, shas.split()).values()))


def current_branch(git: Git) -> str:
    """Return the name of the current branch, or ``HEAD`` where it is detached."""
    return git.query("symbolic-ref", "-q", "--short", "HEAD") or "HEAD"


def resolve(git: Git, rev: str, *, remote: str | None = None) -> str | None:
    """Return the sha of the commit that a git revision names, None where it names none.

    Parameters
    ----------
    remote
        Tried as ``remote/rev`` where there is no local revision of the name.
    """
    if rev.startswith("-"):
        return None
    names = [rev, *([f"{remote}/{rev}"] if remote else [])]
    commits = (git.query("rev-parse", "--verify", "-q", f"{name}^{{commit}}") for name in names)
    return next((commit for commit in commits if commit), None)


def _commit(record: str) -> Commit:
    sha, parents, at, message = record.strip().split("\x00", 3)
    return Commit(sha, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), message.strip())


def _texts(git: Git, path: str, shas: Sequence[str]) -> dict[str, str]:
    """Read the file at each of these commits; those without it are left out."""
    objects = "".join(f"{sha}:{path}\n" for sha in shas)
    texts, rest = {}, git.pipe("cat-file", "--batch", input=objects.encode())
    for sha in shas:
        header, _, rest = rest.partition(b"\n")
        object_type, _, size = header.rpartition(b" ")
        if object_type.endswith(b" blob"):
            texts[sha], rest = rest[: int(size)].decode(), rest[int(size) + 1 :]
    return texts
