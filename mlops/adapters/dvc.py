"""DVC, in this process: data that git only points to, and the graph of stages."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from dvc.exceptions import CheckoutError, DvcException
from dvc.lock import LockError
from dvc.logger import set_loggers_level
from dvc.repo import Repo, lock_repo
from dvc.rwlock import RWLockFileCorruptedError
from filelock import FileLock, Timeout

from mlops import fingerprint
from mlops.adapters import dvc_stages
from mlops.adapters.dvc_cache import listing, md5_of, objects_of, refuse_altered
from mlops.adapters.dvc_stages import Run, Stages
from mlops.errors import ConflictError, DataError, MlopsError, shown
from mlops.version import DatasetVersion, Reproduced, read_pointer

__all__ = ["LAKE", "DvcTree"]

LAKE = "data/lake"
"""The folder of data that every project has."""

_T = TypeVar("_T")


class DvcTree:
    """A project's tree as DVC sees it; the current folder of the process does not matter.

    Parameters
    ----------
    root
        The folder that holds ``.dvc``.
    patience
        Seconds to wait for another process that works in the same tree.
    """

    def __init__(self, root: Path, *, patience: float = 60.0) -> None:
        self.root = root.resolve()
        self._patience = patience

    @classmethod
    def init(cls, root: Path) -> DvcTree:
        """Make `root`, the top of a git repository, a project of DVC; done again, it changes nothing."""
        if not (root / ".dvc").is_dir():
            try:
                with _quiet():
                    Repo.init(str(root)).close()
            except DvcException as exc:
                raise MlopsError(f"DVC cannot be set up: {exc}", remedy="Run `git init` there.") from exc
        tree = cls(root)
        # No hardlinks: an edited one corrupts the cache (dvc#9641).
        tree._configure("repo", "cache", type="reflink,copy")
        tree._configure("repo", "core", analytics=False, autostage=False)
        return tree

    def share_cache(self, other: DvcTree) -> None:
        """Keep data in the cache of `other`, the tree this one is a worktree of."""
        folder = other._do("find the cache", lambda repo: str(repo.cache.local_cache_dir))
        self._configure("local", "cache", dir=folder)

    def version(self, path: str = LAKE) -> DatasetVersion | None:
        """Return what the pointer to `path` names, or None where there is no pointer."""
        pointer = self._pointer(path)
        return read_pointer(pointer.read_text()) if pointer.is_file() else None

    def add(self, path: str = LAKE, *, new: Sequence[str] = ()) -> DatasetVersion:
        """Take `path` as it now is into the cache and write its pointer, ``<path>.dvc``.

        Parameters
        ----------
        new
            Files within a folder that has a pointer already: only these are looked at, so that
            what one more batch costs hardly grows with those held.

        Raises
        ------
        MlopsError
            There is nothing at `path`, or a stage makes it.
        ConflictError
            Another process works in this tree. Do it again.
        """
        known = self._pointer(path).is_file()
        targets = [str(self.root / path / name) for name in new if known] or [str(self.root / path)]
        # Relinking would hardlink the files to the cache for a moment, and reads every one of them.
        self._do(f"add {path}", lambda repo: repo.add(targets, relink=False))
        return read_pointer(self._pointer(path).read_text())

    def union(self, other_pointer: str, path: str = LAKE) -> DatasetVersion:
        """Bring the files that another version of the folder has into this one.

        Parameters
        ----------
        other_pointer
            The text of the other version's ``.dvc`` file; its data must be in the cache.

        Raises
        ------
        ConflictError
            Both hold a file of one name with different content; nothing was changed.
        DataError
            The cache lacks the other version's data, or holds it altered.
        """
        theirs = read_pointer(other_pointer)
        if self.version(path) is not None:
            self.checkout(path)
        objects = self._do("find the cache", objects_of)
        folder = self.root / path
        missing: dict[str, Path] = {}
        for name, md5 in listing(theirs.md5, objects).items():
            if not (folder / name).exists():
                refuse_altered(objects(md5), md5, objects)
                missing[name] = objects(md5)
            elif md5_of(folder / name) != md5:
                raise ConflictError(
                    f"{path}/{name} differs in two versions of the data.",
                    remedy="Files of a lake are never rewritten: rename one of them and add it again.",
                )
        for name, source in missing.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        return self.add(path, new=tuple(missing))

    def checkout(self, path: str = LAKE) -> None:
        """Bring `path` on disk to what its pointer names; what was not added is gone from it.

        Raises
        ------
        MlopsError
            The cache lacks some of it.
        """
        self._do(f"check out {path}", lambda repo: repo.checkout([str(self.root / path)], force=True))

    def verify(self, path: str = LAKE) -> DatasetVersion:
        """Hash `path` again, byte for byte, and compare it with what its pointer names.

        DVC itself trusts a cached object that looks untouched, and would serve altered data.

        Raises
        ------
        DataError
            A file is altered or missing; it is named.
        """
        version = self.version(path)
        if version is None:
            raise DataError(f"{path} has no pointer.", remedy=f"Add it first: `dvc add {path}`.")
        refuse_altered(self.root / path, version.md5, self._do("find the cache", objects_of))
        return version

    def status(self) -> dict[str, Any]:
        """Return what ``dvc status`` tells; empty where everything is up to date."""

        def action(repo: Repo) -> dict[str, Any]:
            with lock_repo(repo):
                stages = [dvc_stages.placed(stage) for stage in repo.index.stages]
                return {name: what for stage in stages for name, what in stage.status().items()}

        return self._do("tell the status", action)

    def sweep(self, before: datetime) -> int:
        """Remove half-written files that killed processes left in the cache.

        Parameters
        ----------
        before
            Younger ones are kept: somebody may be writing them.

        Returns
        -------
        int
            How many were removed.
        """
        cache = Path(self._do("find the cache", lambda repo: str(repo.cache.local_cache_dir)))
        litter = [
            file
            for file in cache.rglob(".*.tmp")
            if file.is_file() and file.stat().st_mtime < before.timestamp()
        ]
        for file in litter:
            file.unlink(missing_ok=True)
        return len(litter)

    def reproduce(
        self,
        run: Run = lambda _, body: body(),
        *,
        stages: Stages,
        force: bool = False,
    ) -> Reproduced:
        """Bring every stage of dvc.yaml up to date, as ``dvc repro`` does.

        Parameters
        ----------
        run
            Is given the name and the body of each stage that has something to do, and calls the
            body, in this thread; it may do so again where that failed.
        stages
            What the commands ``python -m mlops.stages NAME`` do, by name, to the tree's root. Other
            commands run as DVC runs them.
        force
            Run the stages that didn't change, too, and don't ask the run cache.

        Raises
        ------
        StageError
            A stage failed, or one of its inputs moved while it ran: then nothing of it is recorded.
        DataError
            An input is not what was recorded of it.
        MlopsError
            Whatever else of ours a stage raised, as it was raised.
        """
        ran: list[str] = []  # kept where a lock of DVC's makes us begin again
        seen = self._do(
            "reproduce the stages", lambda repo: dvc_stages.reproduce(repo, run, stages, ran, force=force)
        )
        data = self.version()
        return Reproduced(
            ran=tuple(name for name in seen if name in ran),
            skipped=tuple(name for name in seen if name not in ran),
            lock_sha=fingerprint.of_file(self.root / "dvc.lock"),
            data_md5=data.md5 if data else None,
        )

    def _pointer(self, path: str) -> Path:
        return self.root / f"{path}.dvc"

    def _configure(self, level: str, section: str, **options: str | bool) -> None:
        def edit(repo: Repo) -> None:
            with repo.config.edit(level) as config:
                config[section] = {**config.get(section, {}), **options}

        self._do("write its configuration", edit)

    def _do(self, doing: str, action: Callable[[Repo], _T]) -> _T:
        """Do `action` when no other process is at it, with DVC's errors translated to ours."""
        if not (self.root / ".dvc").is_dir():
            raise MlopsError(f"{self.root} is no DVC project.", remedy="Run `dvc init` there.")
        deadline = time.monotonic() + self._patience
        lock = FileLock(self.root / ".dvc" / "tmp" / "mlops.lock", timeout=self._patience)
        try:
            with lock, _quiet():
                while True:
                    try:
                        # Waits for DVC's own lock where plain DVC gives up after three seconds.
                        with Repo(str(self.root), _wait_for_lock=True) as repo:
                            return action(repo)
                    except RWLockFileCorruptedError:
                        # A process was killed while it wrote its list of paths in use.
                        (self.root / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
                    except LockError:
                        if time.monotonic() > deadline:
                            raise
                        time.sleep(0.2)
        except (Timeout, LockError) as exc:
            raise ConflictError(
                f"Another process has worked in {self.root} for {self._patience:.0f} s.",
                remedy="Wait for it, and do it again.",
            ) from exc
        except CheckoutError as exc:
            raise MlopsError(
                f"The cache lacks data that {self.root} names: {shown(exc.target_infos)}.",
                remedy="Bring it from the remote: `dvc pull`.",
            ) from exc
        except DvcException as exc:
            raise MlopsError(f"DVC could not {doing} in {self.root}: {exc}.") from exc


def _quiet() -> AbstractContextManager[None]:
    # DVC writes what it does on stdout and draws bars; what went wrong comes as an exception.
    return set_loggers_level(logging.CRITICAL)  # type: ignore[no-any-return]
