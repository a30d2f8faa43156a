"""What `mlops data push` does: send the data of every version to a DVC remote."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mlops.adapters.dvc.remote import Transfer
from mlops.adapters.dvc.tree import DvcTree
from mlops.errors import shown
from mlops.project.context import Project
from mlops.project.data_log import named
from mlops.project.data_remote import find_remote

log = logging.getLogger("mlops")

__all__ = ["push"]


def push(project: Project, *, remote: str | None = None, on_progress: Callable[[Transfer], None]) -> Transfer:
    """Send the data of every version to a DVC remote; objects that it has are not sent again.

    Raises
    ------
    UsageError
        There is no remote, or versions are missing in the cache.
    UnavailableError
        The remote does not respond.
    DataError
        An object of the cache is corrupt; the others were sent.
    """
    tree = DvcTree(project.folder.root)
    store, there = tree.store(), find_remote(tree, remote)
    wanted: dict[str, str] = {}
    absent = []
    for path, md5 in named(project):
        if not store.objects(md5).is_file():
            absent.append(f"{path} {md5[:8]}")
            continue
        wanted |= {md5: f"the list of {path}"} if md5.endswith(".dir") else {}
        wanted |= {each: f"{path}/{name}" for name, each in store.files(md5, path).items()}
    if absent:
        log.warning("not sent, missing in this machine's cache: %s", shown(absent))
    done = there.push(wanted, on_progress)
    done.check(wanted, f"could not be sent to the DVC remote {there.name!r}")
    return done
