"""What `mlops data pull` does: fetch the data of every version from a DVC remote."""

from __future__ import annotations

from collections.abc import Callable

from mlops.adapters.dvc.remote import Transfer
from mlops.adapters.dvc.tree import DvcTree
from mlops.project.context import Project
from mlops.project.data_log import FOLDERS, named
from mlops.project.data_remote import find_remote

__all__ = ["pull"]


def pull(project: Project, *, remote: str | None = None, on_progress: Callable[[Transfer], None]) -> Transfer:
    """Fetch the data of every version from a DVC remote, and check out the lake if it is missing.

    Raises
    ------
    UsageError
        There is no remote.
    UnavailableError
        The remote does not respond.
    DataError
        Some objects are missing or corrupt in the remote; the others were fetched.
    """
    tree = DvcTree(project.folder.root)
    store, there = tree.store(), find_remote(tree, remote)
    pointers = list(named(project))
    lists = {md5: f"the list of {path}" for path, md5 in pointers if md5.endswith(".dir")}
    done = there.pull(lists, on_progress)
    wanted: dict[str, str] = {}
    for path, md5 in pointers:
        if md5 not in done.failed:
            wanted |= {each: f"{path}/{name}" for name, each in store.files(md5, path).items()}
    done += there.pull(wanted, on_progress)
    done.check(lists | wanted, f"could not be fetched from the DVC remote {there.name!r}")
    with project.lock("tree"):
        for path in FOLDERS:
            version = tree.version(path)
            if version is not None and not (project.folder.root / path).exists():
                tree.checkout(path)
    return done
