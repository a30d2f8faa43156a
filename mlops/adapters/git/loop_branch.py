"""The loop's work tree on the loop's branch, and merging the user's commits into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mlops.adapters.git.worktree import ABSENT, Tree
from mlops.errors import ConflictError

__all__ = ["LoopTree", "Merge", "loop_tree"]

# Git holds a lock file for moments; one this old was left by a killed process.
_STALE_AFTER = 10.0
_PATIENCE = 30.0

Merge = Callable[[str, str | None], object]
"""Called with the user's text of a file and that of the merge base, None where that has no such file."""


class LoopTree(Tree):
    """The work tree, on a branch of its own, that unattended runs work in.

    One process at a time may work in it: the one that holds the loop's lease.
    """

    def sync(
        self,
        project_root: Path,
        *,
        ours: Sequence[str],
        merge: Mapping[str, Merge],
    ) -> str:
        """Merge the user's new commits, and discard what a killed run left uncommitted.

        Where both branches moved, a merge commit on the loop's branch holds the user's tree with the
        loop's files over it. The user's HEAD, index and files are only read.

        Parameters
        ----------
        ours
            Paths of which the loop's version wins: what DVC writes of a run.
        merge
            By path; merges both sides into the loop's file, as ``DvcTree.union`` does with pointers.

        Returns
        -------
        str
            The sha that the loop's branch is at.

        Raises
        ------
        ConflictError
            Another process moved the loop's branch.
        """
        self.git.output("reset", "-q", "--hard")
        tip, user_tip = self.head(), Tree(project_root).head()
        if self._is_ancestor(user_tip, tip):
            return tip
        fast_forward = self._is_ancestor(tip, user_tip)
        new = user_tip if fast_forward else self._merge_commit(tip, user_tip, ours, merge)
        self.move(self.branch(), new, tip)
        # After a kill before this line, the first line of the next call does it.
        self.git.output("reset", "-q", "--hard")
        return new

    def _merge_commit(self, tip: str, user_tip: str, ours: Sequence[str], merge: Mapping[str, Merge]) -> str:
        base = self.git.query("merge-base", tip, user_tip)
        for path, merge_file in merge.items():
            text = self.read(path, user_tip)
            if text is not None and text != self.read(path, tip):
                merge_file(text, self.read(path, base) if base else None)
        paths = [path for path in ours if self.read(path, tip) is not None]
        paths += [path for path in merge if (self.root / path).exists()]
        message = f"mlops: merge {user_tip[:12]} into the loop's branch"
        return self._commit_tree(self._write_tree(user_tip, paths), [tip, user_tip], message)

    def _is_ancestor(self, ancestor: str, descendant: str) -> bool:
        return self.git.query("merge-base", "--is-ancestor", ancestor, descendant) is not None


def loop_tree(project_root: Path, folder: Path, branch: str) -> LoopTree:
    """Return the loop's work tree; create or repair it first where needed.

    Parameters
    ----------
    folder
        The work tree's folder; one that isn't a complete work tree of `branch` is replaced.
    branch
        Created where it doesn't exist: at the remote's branch of this name, as in a clone, else at the
        project's HEAD.

    Raises
    ------
    UsageError
        The project's folder isn't the top of its git repository.
    ConflictError
        The branch is checked out elsewhere, or another process is creating the work tree.
    """
    project = Tree(project_root)
    project.check_top()
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), timeout=_PATIENCE):
            _break_stale_locks(project, folder, branch)
            if project.tip(branch) is None:
                project.move(branch, project.commit(_start_point(project, branch)).sha, ABSENT)
            if not _is_complete(folder, branch):
                project.add_worktree(folder, branch)
    except Timeout as exc:
        raise ConflictError(
            f"Another process is creating {folder}.", remedy="Run the same command again."
        ) from exc
    return LoopTree(folder)


def _start_point(project: Tree, branch: str) -> str:
    ref = project.ref(branch)
    return ref if project.git.query("rev-parse", "--verify", "-q", ref) is not None else "HEAD"


def _is_complete(folder: Path, branch: str) -> bool:
    if not (folder / ".git").is_file():
        return False
    tree = Tree(folder)
    top = tree.git.query("rev-parse", "--show-toplevel")
    at = tree.git.query("symbolic-ref", "-q", "HEAD")
    return (
        top == str(folder)
        and at == f"refs/heads/{branch}"
        and tree.git.query("ls-files", "--error-unmatch", "--", ".") is not None
    )


def _break_stale_locks(project: Tree, folder: Path, branch: str) -> None:
    common = Path(project.git.output("rev-parse", "--path-format=absolute", "--git-common-dir"))
    locks = [common / "refs" / "heads" / f"{branch}.lock"]
    for admin in (common / "worktrees").glob("*"):
        points_to = admin / "gitdir"
        if points_to.is_file() and points_to.read_text("utf-8").strip() == str(folder / ".git"):
            locks += [admin / "index.lock", admin / "HEAD.lock"]
    for lock in locks:
        while (left := _seconds_left(lock)) is not None and left > 0:
            time.sleep(min(left, 0.2))
        lock.unlink(missing_ok=True)


def _seconds_left(lock: Path) -> float | None:
    """Return the seconds until `lock` counts as stale; None where it is gone."""
    try:
        return lock.stat().st_mtime + _STALE_AFTER - time.time()
    except FileNotFoundError:
        return None
