"""Objects between DVC's cache and a remote.

In a process of its own, because only that can be ended where a network hangs:
``python -m mlops.adapters.dvc.transfer ROOT push|pull|ask REMOTE`` reads the md5 of objects from
stdin and reports progress on stdout, a JSON object a line; see `mlops.adapters.dvc.remote`.
Every object is hashed on its way: what is altered is neither sent nor kept.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from fsspec.callbacks import Callback

from mlops.adapters.dvc.cache import Objects, listing, objects_of
from mlops.addresses import masked
from mlops.errors import DataError
from mlops.files.hashing import md5_of

__all__ = ["main"]

_AT_ONCE = 16
"""Objects copied in one batch: progress is reported after each."""
_A_SIGN = 1.0
"""Seconds between two signs of life of one large object."""

_reporting = threading.Lock()


def main(root: str, verb: str, name: str, md5s: Sequence[str]) -> int:
    """Run the operation; return the exit code."""
    try:
        with Repo(root) as repo:
            remote = repo.cloud.get_remote_odb(name, verb)
            _report(at=masked(remote.fs.unstrip_protocol(remote.path)))
            if verb == "ask":
                _look(remote)
            else:
                _transfer(repo, remote, md5s, push=verb == "push")
    except Exception as exc:  # whatever a store raises: its client library is not ours to list
        _report(error=masked(f"{type(exc).__name__}: {' '.join(str(exc).split())}")[:500])
        return 1
    return 0


def _look(remote: Any) -> None:
    try:
        remote.fs.ls(remote.fs.parent(remote.fs.parent(remote.path)), detail=False)
    except FileNotFoundError as exc:
        if "bucket" in str(exc):
            raise
        # Nothing was pushed yet.


def _transfer(repo: Any, remote: Any, md5s: Sequence[str], *, push: bool) -> None:
    cache, objects = repo.cache.local, objects_of(repo)
    source, target = (cache, remote) if push else (remote, cache)
    there = set(target.oids_exist(list(md5s)))
    wanted = [md5 for md5 in md5s if md5 not in there]
    _report(wanted=len(wanted), there=len(md5s) - len(wanted))
    # A folder's list goes after its files: who finds it may rely on them.
    failed: set[str] = set()
    for of_folders in (False, True):
        group = [md5 for md5 in wanted if md5.endswith(".dir") is of_folders]
        if of_folders and push:
            incomplete = [md5 for md5 in group if failed & _listed(objects, md5)]
            _report(failed=dict.fromkeys(incomplete, "a file of it could not be sent"))
            group = [md5 for md5 in group if md5 not in incomplete]
        for start in range(0, len(group), _AT_ONCE):
            failed |= _hand_over(source, target, objects, group[start : start + _AT_ONCE], push=push).keys()


def _listed(objects: Objects, md5: str) -> set[str]:
    """Return the files of a folder's list; none of an altered one, which is reported when copied."""
    try:
        return set(listing(md5, objects).values())
    except DataError:
        return set()


def _hand_over(
    source: Any, target: Any, objects: Objects, md5s: Sequence[str], *, push: bool
) -> Mapping[str, str]:
    """Copy some objects, hash those on this side, report; return what failed and why."""
    failed = dict(_damaged(objects, md5s)) if push else {}
    sound = [md5 for md5 in md5s if md5 not in failed]

    def on_error(md5: str, exc: BaseException) -> None:
        absent = isinstance(exc, FileNotFoundError)
        failed[md5] = "not there" if absent else masked(f"{type(exc).__name__}: {exc}")

    if sound:
        target.add(
            [source.oid_to_path(md5) for md5 in sound], source.fs, sound,
            check_exists=False, verify=False, on_error=on_error, callback=_SignsOfLife(),
        )  # fmt: skip
    moved = [md5 for md5 in sound if md5 not in failed]
    if not push:
        for md5, why in _damaged(objects, moved):
            failed[md5] = why
            objects(md5).unlink(missing_ok=True)
    moved = [md5 for md5 in moved if md5 not in failed]
    _report(moved=len(moved), bytes=sum(objects(md5).stat().st_size for md5 in moved), failed=failed)
    return failed


def _damaged(objects: Objects, md5s: Sequence[str]) -> list[tuple[str, str]]:
    """Return the objects on this side that are not what their name says, and why."""
    damaged = []
    for md5 in md5s:
        path = objects(md5)
        if not path.is_file():
            damaged.append((md5, "not there"))
        elif md5_of(path) != md5.removesuffix(".dir"):
            damaged.append((md5, "altered"))
    return damaged


class _SignsOfLife(Callback):  # type: ignore[misc]  # fsspec has no types
    """Reports now and then that bytes move, so that a large object does not count as a silent remote."""

    _last = 0.0

    def relative_update(self, inc: int = 1) -> None:
        super().relative_update(inc)
        if time.monotonic() - _SignsOfLife._last > _A_SIGN:
            _SignsOfLife._last = time.monotonic()
            _report(alive=True)

    def branched(self, *_: Any, **__: Any) -> Callback:
        return _SignsOfLife()


def _report(**what: Any) -> None:
    with _reporting:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1])), sys.argv[2], sys.argv[3], sys.stdin.read().split()))
