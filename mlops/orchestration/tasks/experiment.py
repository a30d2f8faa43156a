"""`mlops train --set`: one training with other parameters, on a separate branch and work tree."""

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
"""Prefix of the attempts' branches."""
_SHORT = 8


@dataclass(frozen=True)
class Attempt:
    """The tree and branch of a training.

    Parameters
    ----------
    tree
        The person's tree if nothing is overridden.
    branch
        Branch with the parameters and the results; empty if nothing is overridden.
    base
        The person's commit that it starts from.
    overrides
        Values by dotted path.
    left_out
        Uncommitted files of the person's tree, which the training does not have.
    """

    tree: Path
    branch: str = ""
    base: str = ""
    overrides: Mapping[str, str] | None = None
    left_out: tuple[str, ...] = ()

    def summary(self, reason: str, commit: str) -> str:
        """Return the gate's reason, the training's branch, and how to adopt its parameters.

        Parameters
        ----------
        commit
            The training's commit.
        """
        if not self.overrides:
            return reason
        overrides = _describe(self.overrides)
        left_out = [f"Not committed, so left out: {shown(self.left_out)}."] if self.left_out else []
        if commit == self.base:
            return "\n".join([f"Nothing changed: {PARAMS} already has {overrides}. {reason}", *left_out])
        branch = (
            f"Trained with {overrides} on the branch {self.branch}; your {PARAMS} is unchanged, and "
            f"retraining still uses it. To adopt these: `git checkout {self.branch} -- {PARAMS}`."
        )
        return "\n".join([reason, branch, *left_out])


@contextmanager
def work_tree(root: Path, overrides: Mapping[str, str] | None) -> Iterator[Attempt]:
    """Yield the tree to train in: the person's, or with `overrides` a scratch one, removed afterwards.

    Call it while no other training runs. Leftovers of a killed one are removed first; its branch stays,
    and the same overrides use it again.

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
        Tree(tree).commit_paths([PARAMS], f"Try {_describe(overrides)}")
        data = DvcTree(tree)
        data.share_cache(DvcTree(root))
        data.obtain()
    own = Tree(root)
    read = [PARAMS, GRAPH, LOCK, params.model.builder, f"{LAKE}.dvc"]
    left_out = tuple(path for path in read if not own.is_clean([path]))
    return Attempt(tree, branch, base, overrides, left_out)


def _describe(overrides: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in overrides.items())
