"""The loop's own work tree, on a branch of its own, and what the person committed brought to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mlops.adapters.git.worktree import ABSENT, Tree
from mlops.errors import ConflictError

__all__ = ["LoopTree", "Merge", "loop_tree"]

# A lock of git's own is held for moments; one this old was left by a killed process.
_STALE_AFTER = 10.0
_PATIENCE = 30.0

Merge = Callable[[str, str | None], object]
"""Is given the person's text of a file and the one that both sides began with, None where that has none."""


class LoopTree(Tree):
    """The worktree that what runs unattended works in, on a branch of its own.

    One at a time may work in it: whoever does holds the loop's lease.
    """

    def sync(
        self,
        project_root: Path,
        *,
        own: Sequence[str],
        merge: Mapping[str, Merge],
    ) -> str:
        """Bring what the person committed since, and drop what a killed run left uncommitted.

        Where both sides moved, a new commit of the loop's branch has both as parents and holds the
        person's tree, with the loop's own files laid over it. Their HEAD, index and files are
        only read.

        Parameters
        ----------
        own
            Paths that stay as the loop last committed them: what DVC writes of a run.
        merge
            By path; brings the loop's file to hold both sides, as ``DvcTree.union`` does with pointers.

        Returns
        -------
        str
            The sha that the loop's branch is at.

        Raises
        ------
        ConflictError
            Somebody else moved the loop's branch.
        """
        self.git.say("reset", "-q", "--hard")
        tip, theirs = self.head(), Tree(project_root).head()
        if self._is_ancestor(theirs, tip):
            return tip
        new = theirs if self._is_ancestor(tip, theirs) else self._joined(tip, theirs, own, merge)
        self.move(self.branch(), new, tip)
        # Killed before this, the next call's first line does it.
        self.git.say("reset", "-q", "--hard")
        return new

    def _joined(self, tip: str, theirs: str, own: Sequence[str], merge: Mapping[str, Merge]) -> str:
        base = self.git.ask("merge-base", tip, theirs)
        for path, join in merge.items():
            text = self.read(path, theirs)
            if text is not None and text != self.read(path, tip):
                join(text, self.read(path, base) if base else None)
        kept = [path for path in own if self.read(path, tip) is not None]
        kept += [path for path in merge if (self.root / path).exists()]
        message = f"mlops: bring {theirs[:12]} to the loop"
        return self._commit_tree(self._write_tree(theirs, kept), [tip, theirs], message)

    def _is_ancestor(self, one: str, other: str) -> bool:
        return self.git.ask("merge-base", "--is-ancestor", one, other) is not None


def loop_tree(project_root: Path, folder: Path, branch: str) -> LoopTree:
    """Return the loop's worktree, made or mended first where it must be.

    Parameters
    ----------
    folder
        Where it lies; a folder that isn't a whole worktree of `branch` is replaced.
    branch
        Starts where it doesn't exist at the remote's of this name, as in a clone, else at the project's
        HEAD.

    Raises
    ------
    UsageError
        The project's folder isn't the top of its git repository.
    ConflictError
        The branch is checked out elsewhere, or another process is at this very thing.
    """
    project = Tree(project_root)
    project.check_top()
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), timeout=_PATIENCE):
            _break_stale_locks(project, folder, branch)
            if project.tip(branch) is None:
                project.move(branch, project.commit(_beginning(project, branch)).sha, ABSENT)
            if not _is_whole(folder, branch):
                project.add_worktree(folder, branch)
    except Timeout as exc:
        raise ConflictError(f"Another process is making {folder}.", remedy="Do it again.") from exc
    return LoopTree(folder)


def _beginning(project: Tree, branch: str) -> str:
    seen = project.ref(branch)
    return seen if project.git.ask("rev-parse", "--verify", "-q", seen) is not None else "HEAD"


def _is_whole(folder: Path, branch: str) -> bool:
    if not (folder / ".git").is_file():
        return False
    tree = Tree(folder)
    top = tree.git.ask("rev-parse", "--show-toplevel")
    at = tree.git.ask("symbolic-ref", "-q", "HEAD")
    return (
        top == str(folder)
        and at == f"refs/heads/{branch}"
        and tree.git.ask("ls-files", "--error-unmatch", "--", ".") is not None
    )


def _break_stale_locks(project: Tree, folder: Path, branch: str) -> None:
    common = Path(project.git.say("rev-parse", "--path-format=absolute", "--git-common-dir"))
    locks = [common / "refs" / "heads" / f"{branch}.lock"]
    for admin in (common / "worktrees").glob("*"):
        points_to = admin / "gitdir"
        if points_to.is_file() and points_to.read_text().strip() == str(folder / ".git"):
            locks += [admin / "index.lock", admin / "HEAD.lock"]
    for lock in locks:
        while (left := _seconds_left(lock)) is not None and left > 0:
            time.sleep(min(left, 0.2))
        lock.unlink(missing_ok=True)


def _seconds_left(lock: Path) -> float | None:
    """Return how long `lock` may still be alive; None where it is gone."""
    try:
        return lock.stat().st_mtime + _STALE_AFTER - time.time()
    except FileNotFoundError:
        return None
