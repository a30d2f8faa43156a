"""Scratch work trees: a commit checked out beside the person's tree, for the time one piece of work takes.

A folder whose name begins with a dot is at work or was left by a killed process; `sweep` removes
those, and `keep` gives one that is to stay its own name.
"""

from __future__ import annotations

from pathlib import Path

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH
from mlops.errors import UsageError

__all__ = ["Scratch"]


class Scratch(Tree):
    """The scratch work trees of a project, which lie side by side in one folder.

    Parameters
    ----------
    root
        The person's tree: it is only read.
    folder
        Where they lie, ignored by git. One process at a time may work in it.

    Raises
    ------
    UsageError
        The project's folder isn't the top of its git repository.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root)
        self._folder = folder.resolve()
        self.check_top()

    def begin(self, name: str, commit: str, *, branch: str | None = None) -> Path:
        """Check `commit` out and return the folder, whose name is `name` behind a dot.

        Parameters
        ----------
        branch
            Work on it: it begins at `commit` where it doesn't exist, else it is taken as it is.

        Raises
        ------
        UsageError
            The repository has no such commit.
        ConflictError
            The branch is checked out elsewhere.
        """
        if self.git.ask("rev-parse", "--verify", "-q", f"{commit}^{{commit}}") is None:
            raise UsageError(
                f"The repository {self.root} has no commit {commit[:12]}.",
                remedy=f"Fetch the branch that holds it, as `git fetch origin {LOOP_BRANCH}`.",
            )
        folder = self._folder / f".{name}"
        if branch is None:
            self.add_worktree(folder, commit, detach=True)
            return folder
        if self.tip(branch) is None:
            self.git.say("branch", "--no-track", branch, commit)
        self.add_worktree(folder, branch)
        return folder

    def keep(self, folder: Path) -> Path:
        """Give a work tree that is done its name without the dot, in place of an older one."""
        kept = folder.with_name(folder.name.removeprefix("."))
        self.remove_worktree(kept)
        self.git.say("worktree", "move", str(folder), str(kept))
        return kept

    def sweep(self) -> list[Path]:
        """Remove what killed processes left; return the folders."""
        left = sorted(self._folder.glob(".*"))
        for folder in left:
            self.remove_worktree(folder)
        self.forget_worktrees()
        return left

    def drop(self, branch: str) -> None:
        """Remove a branch that holds nothing of its own."""
        self.git.say("branch", "-q", "-D", branch)
