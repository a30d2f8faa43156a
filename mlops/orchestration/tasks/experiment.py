"""Trying: one training with parameters of its own, on a branch of its own, beside the person's tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.scratch import Scratch
from mlops.adapters.git.worktree import Tree
from mlops.config.edit import override
from mlops.config.paths import GRAPH, LAKE, LOCK, PARAMS
from mlops.errors import shown
from mlops.files import hashing
from mlops.orchestration.task import step
from mlops.project.context import Project

__all__ = ["Attempt", "work_tree"]

_BRANCHES = "mlops/try"
"""What the branches of attempts begin with."""
_SHORT = 8


@dataclass(frozen=True)
class Attempt:
    """Where a training works.

    Parameters
    ----------
    tree
        The person's own, where nothing is set.
    branch
        Holds the parameters and what came of them; empty where nothing is set.
    base
        The person's commit it begins at.
    overrides
        By dotted path, as they were given.
    left_out
        What of the person's tree is not committed, and so is not in it.
    """

    tree: Path
    branch: str = ""
    base: str = ""
    overrides: Mapping[str, str] | None = None
    left_out: tuple[str, ...] = ()

    def told(self, reason: str, commit: str) -> str:
        """Return the gate's reason with where the training is held and how to take it over.

        Parameters
        ----------
        commit
            The one that holds the training.
        """
        if not self.overrides:
            return reason
        said = _said(self.overrides)
        left_out = [f"Not committed, and so left out: {shown(self.left_out)}."] if self.left_out else []
        if commit == self.base:
            return "\n".join([f"Nothing changed: {PARAMS} says {said} already. {reason}", *left_out])
        taken = (
            f"Trained with {said} on the branch {self.branch}; your {PARAMS} is as it was, and "
            f"retraining goes on with it. Take it over: `git checkout {self.branch} -- {PARAMS}`."
        )
        return "\n".join([reason, taken, *left_out])


@contextmanager
def work_tree(root: Path, overrides: Mapping[str, str] | None) -> Iterator[Attempt]:
    """Give the tree to train in: the person's own, or with `overrides` a scratch one that goes afterwards.

    Call it while no other training runs. What a killed one left is removed first; its branch, which
    the same overrides find again, stays.

    Parameters
    ----------
    overrides
        Value by dotted path, as `mlops.config.edit.override` takes them.

    Raises
    ------
    ConfigError
        A path or a value is not allowed; no branch is made.
    ConflictError
        The branch is checked out elsewhere.
    """
    if not overrides:
        yield Attempt(root)
        return
    project = Project.at(root)
    scratch = Scratch(root, project.folder.attempts)
    scratch.sweep()
    base = scratch.head()
    name = hashing.of_value([base, dict(overrides)])[:_SHORT]
    branch = f"{_BRANCHES}/{name}"
    try:
        yield _begin(root, scratch, branch, base, dict(overrides))
    finally:
        scratch.sweep()
        if scratch.tip(branch) == base:
            scratch.delete_branch(branch)


@step(name="set the parameters in a work tree of its own")
def _begin(root: Path, scratch: Scratch, branch: str, base: str, overrides: dict[str, str]) -> Attempt:
    """Check the person's commit out, set the parameters there and commit them."""
    with Project.at(root).lock("tree"):
        tree = scratch.begin(branch.rpartition("/")[2], base, branch=branch)
        params = override(tree / PARAMS, overrides)
        Tree(tree).commit_paths([PARAMS], f"Try {_said(overrides)}")
        data = DvcTree(tree)
        data.share_cache(DvcTree(root))
        data.obtain()
    own = Tree(root)
    read = [PARAMS, GRAPH, LOCK, params.model.builder, f"{LAKE}.dvc"]
    left_out = tuple(path for path in read if not own.is_clean([path]))
    return Attempt(tree, branch, base, overrides, left_out)


def _said(overrides: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in overrides.items())
