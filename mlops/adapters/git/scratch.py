"""Scratch work trees: a commit checked out beside the user's tree for the time of one run.

A folder whose name begins with a dot is in use or was left by a killed process; `sweep` removes
those, and `keep` renames one that is to stay.
"""

from __future__ import annotations

from pathlib import Path

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH
from mlops.errors import UsageError

__all__ = ["Scratch"]


class Scratch(Tree):
    """The scratch work trees of a project, side by side in one folder.

    Parameters
    ----------
    root
        The user's tree: it is only read.
    folder
        Their folder, ignored by git. One process at a time may work in it.

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
            Check this branch out: created at `commit` where it doesn't exist, else as it is.

        Raises
        ------
        UsageError
            The repository has no such commit.
        ConflictError
            The branch is checked out elsewhere.
        """
        if self.git.query("rev-parse", "--verify", "-q", f"{commit}^{{commit}}") is None:
            raise UsageError(
                f"The repository {self.root} has no commit {commit[:12]}.",
                remedy=f"Fetch the branch that contains it: `git fetch origin {LOOP_BRANCH}`.",
            )
        folder = self._folder / f".{name}"
        if branch is None:
            self.add_worktree(folder, commit, detach=True)
            return folder
        if self.tip(branch) is None:
            self.git.output("branch", "--no-track", branch, commit)
        self.add_worktree(folder, branch)
        return folder

    def keep(self, folder: Path) -> Path:
        """Rename a finished work tree to its name without the dot, replacing an older one."""
        destination = folder.with_name(folder.name.removeprefix("."))
        self.remove_worktree(destination)
        self.git.output("worktree", "move", str(folder), str(destination))
        return destination

    def sweep(self) -> list[Path]:
        """Remove the folders that killed processes left, and return them."""
        leftovers = sorted(self._folder.glob(".*"))
        for folder in leftovers:
            self.remove_worktree(folder)
        self.prune_worktrees()
        return leftovers

    def delete_branch(self, branch: str) -> None:
        """Delete a branch, merged or not."""
        self.git.output("branch", "-q", "-D", branch)
