"""The data of every version, sent to a DVC remote and brought from one."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mlops.adapters.dvc.remote import Remote, Transfer
from mlops.adapters.dvc.tree import DvcTree
from mlops.errors import UsageError, shown
from mlops.project.context import Project
from mlops.project.data_log import FOLDERS, named

log = logging.getLogger("mlops")

__all__ = ["pull", "push"]


def push(project: Project, *, remote: str | None = None, told: Callable[[Transfer], None]) -> Transfer:
    """Send the data of every version to a DVC remote; what it has already is not sent again.

    Raises
    ------
    UsageError
        There is no remote, or the cache has not all of the versions.
    UnavailableError
        The remote does not answer.
    DataError
        An object of the cache is altered; the others were sent.
    """
    tree = DvcTree(project.folder.root)
    store, there = tree.store(), _remote(tree, remote)
    wanted: dict[str, str] = {}
    absent = []
    for path, md5 in named(project):
        if not store.objects(md5).is_file():
            absent.append(f"{path} {md5[:8]}")
            continue
        wanted |= {md5: f"the list of {path}"} if md5.endswith(".dir") else {}
        wanted |= {each: f"{path}/{name}" for name, each in store.files(md5, path).items()}
    if absent:
        log.warning("not sent, for they are not in the cache of this machine: %s", shown(absent))
    done = there.push(wanted, told)
    done.check(wanted, f"could not be sent to the DVC remote {there.name!r}")
    return done


def pull(project: Project, *, remote: str | None = None, told: Callable[[Transfer], None]) -> Transfer:
    """Bring the data of every version from a DVC remote, and put the lake on disk where files of it lack.

    Raises
    ------
    UsageError
        There is no remote.
    UnavailableError
        The remote does not answer.
    DataError
        It has not all of it, or holds some altered; what is whole was brought.
    """
    tree = DvcTree(project.folder.root)
    store, there = tree.store(), _remote(tree, remote)
    pointers = list(named(project))
    lists = {md5: f"the list of {path}" for path, md5 in pointers if md5.endswith(".dir")}
    done = there.pull(lists, told)
    wanted: dict[str, str] = {}
    for path, md5 in pointers:
        if md5 not in done.failed:
            wanted |= {each: f"{path}/{name}" for name, each in store.files(md5, path).items()}
    done += there.pull(wanted, told)
    done.check(lists | wanted, f"could not be brought from the DVC remote {there.name!r}")
    with project.lock("tree"):
        for path in FOLDERS:
            version = tree.version(path)
            if version is not None and not (project.folder.root / path).exists():
                tree.checkout(path)
    return done


def _remote(tree: DvcTree, name: str | None) -> Remote:
    wanted = name or tree.remote()
    known = tree.remotes()
    if wanted is None or wanted not in known:
        what = "DVC has no default remote" if wanted is None else f"DVC knows no remote {wanted!r}"
        rest = f"; it knows {shown(known)}" if known else ""
        raise UsageError(
            f"{what}{rest}.",
            remedy="Name one: `dvc remote add --default NAME URL`; URL is a folder or s3://BUCKET/PATH.",
        )
    return Remote(tree.root, wanted)
