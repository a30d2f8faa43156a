"""Push data and the loop's branch to DVC's and git's remotes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.errors import MlopsError
from mlops.orchestration.task import run_as_task
from mlops.project.context import Project

log = logging.getLogger("mlops")

__all__ = ["push"]


def push(root: Path, tree: Path, *paths: str) -> None:
    """Push the data of `tree`, and the loop's branch where `tree` is the loop's own.

    One task per configured remote; a failed push is logged with its remedy and fails nothing else.
    A person's branch, or that of `mlops train --set`, is theirs to push.

    Parameters
    ----------
    root, tree
        The project, and the tree to push from: the same, the loop's, or a scratch one.
    paths
        Only these paths of the data; otherwise everything that the tree's pointers and ``dvc.lock`` name.
    """
    data, git = DvcTree(tree), Tree(tree)
    remote = data.remote()
    if remote is None:
        log.info("not pushed: DVC has no default remote, the data exists only on this machine")
    else:
        _attempt(f"push the data to {remote}", lambda: _send(data, Remote(tree, remote), paths))
    if git.root != Project.at(root).folder.worktree.resolve():
        return
    branch = git.branch()
    upstream = git.remote_of(branch)
    if upstream is None:
        log.info("not pushed: git has no remote for %s", branch)
    else:
        _attempt(f"push {branch} to {upstream}", lambda: git.push(branch, upstream))


def _send(data: DvcTree, remote: Remote, paths: Sequence[str]) -> None:
    wanted = data.content(*paths)
    remote.push(wanted).check(wanted, f"could not be sent to the DVC remote {remote.name!r}")


def _attempt(name: str, body: Callable[[], None]) -> None:
    try:
        run_as_task(name, body)
    except (MlopsError, OSError) as exc:
        log.warning("%s", exc)
