"""How a small file went through git's history: one process for all commits, one for all its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops.adapters.git.command import Git
from mlops.data.versions import Commit

__all__ = ["Change", "changes", "ever", "line", "resolve"]


@dataclass(frozen=True)
class Change:
    """A commit that changed the file, what the file then said, and the branches that hold the commit."""

    commit: Commit
    text: str
    branches: tuple[str, ...]


def changes(git: Git, path: str, refs: Mapping[str, str]) -> list[Change]:
    """Return the commits that changed `path`, newest first; those that removed it are left out.

    Parameters
    ----------
    refs
        What to call a line of history → the ref at its end; a ref that is not there is passed over.
    """
    known = {name: ref for name, ref in refs.items() if git.ask("rev-parse", "-q", "--verify", ref)}
    if not known:
        return []
    # Not simplified: a merge takes the file from one side, and the other side's versions count too.
    walk = ("log", "--full-history", "--date-order")
    holding = {
        name: set(git.say(*walk, "--format=%H", ref, "--", path).split()) for name, ref in known.items()
    }
    records = git.say(*walk, "--format=%H%x00%P%x00%ct%x00%B%x01", *known.values(), "--", path)
    commits = [_commit(record) for record in records.split("\x01") if record.strip()]
    texts = _texts(git, path, [commit.sha for commit in commits])
    return [
        Change(commit, texts[commit.sha], tuple(name for name, shas in holding.items() if commit.sha in shas))
        for commit in commits
        if commit.sha in texts
    ]


def ever(git: Git, path: str) -> list[str]:
    """Return what `path` ever said, by whatever branch, tag or other ref git keeps; each text once."""
    shas = git.ask("log", "--full-history", "--all", "--format=%H", "--", path) or ""
    return list(dict.fromkeys(_texts(git, path, shas.split()).values()))


def line(git: Git) -> str:
    """Return what to call the history that `git` is on: its branch, or HEAD where it is detached."""
    return git.ask("symbolic-ref", "-q", "--short", "HEAD") or "HEAD"


def resolve(git: Git, rev: str, *, remote: str | None = None) -> str | None:
    """Return the commit that a revision of git names, None where it names none.

    Parameters
    ----------
    remote
        Whose branches are meant, too, where there is none of the name here.
    """
    if rev.startswith("-"):
        return None
    names = [rev, *([f"{remote}/{rev}"] if remote else [])]
    found = (git.ask("rev-parse", "--verify", "-q", f"{name}^{{commit}}") for name in names)
    return next((commit for commit in found if commit), None)


def _commit(record: str) -> Commit:
    sha, parents, at, message = record.strip().split("\x00", 3)
    return Commit(sha, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), message.strip())


def _texts(git: Git, path: str, shas: Sequence[str]) -> dict[str, str]:
    """Read the file at each of these commits."""
    asked = "".join(f"{sha}:{path}\n" for sha in shas)
    found, rest = {}, git.feed("cat-file", "--batch", input=asked.encode())
    for sha in shas:
        head, _, rest = rest.partition(b"\n")
        kind, _, size = head.rpartition(b" ")
        if kind.endswith(b" blob"):
            found[sha], rest = rest[: int(size)].decode(), rest[int(size) + 1 :]
    return found
