"""DVC, in this process: data that git only points to, and the graph of stages."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo

from mlops.adapters.dvc import reproduction
from mlops.adapters.dvc.cache import (
    CacheUse,
    Objects,
    cached_objects,
    listing,
    needed,
    objects_of,
    outputs,
    refuse_altered,
)
from mlops.adapters.dvc.object_store import Store
from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.repository import quiet, with_repo
from mlops.adapters.dvc.reproduction import Run, Stages
from mlops.config.paths import DVC_LOCK, LAKE, RAW
from mlops.data.versions import DatasetVersion, Reproduced, merge, pointed, read_pointer
from mlops.errors import DataError, MlopsError, shown
from mlops.files import hashing, private

__all__ = ["DvcTree"]

log = logging.getLogger("mlops")

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
        self._objects: Objects | None = None

    @classmethod
    def init(cls, root: Path) -> DvcTree:
        """Make `root`, the top of a git repository, a project of DVC; done again, it changes nothing."""
        if not (root / ".dvc").is_dir():
            try:
                with quiet():
                    Repo.init(str(root)).close()
            except DvcException as exc:
                raise MlopsError(f"DVC cannot be set up: {exc}", remedy="Run `git init` there.") from exc
        tree = cls(root)
        tree._do("write its configuration", _write_defaults)
        return tree

    def share_cache(self, other: DvcTree) -> None:
        """Keep data in the cache of `other`, the tree this one is a worktree of, and know its remotes."""
        remotes, default = other._do("find the remotes", _remotes)
        folder = str(other.cache())
        self._objects = None

        def edit(repo: Repo) -> None:
            with repo.config.edit("local") as config:
                config["cache"]["dir"] = folder
                config["remote"] = remotes
                config["core"] = {"remote": default} if default else {}

        # A remote's login may be among the settings, and git ignores the file, not the person's group.
        private.create_file(self.root / ".dvc" / "config.local")
        self._do("write its configuration", edit)

    def remote(self) -> str | None:
        """Return the name of the default remote, where one is configured."""
        return self._do("find the remotes", _remotes)[1]

    def remotes(self) -> list[str]:
        """Return the names of the remotes that the project and its person configured."""
        return list(self._do("find the remotes", _remotes)[0])

    def store(self) -> Store:
        """Return the cache, with the default remote behind it where one is configured."""
        objects, (_, name) = self._do("find the cache", lambda repo: (objects_of(repo), _remotes(repo)))
        return Store(self.root, objects, None if name is None else Remote(self.root, name))

    def content(self, *paths: str) -> dict[str, str]:
        """Return the md5 of each object that the tree needs, with what a person calls it.

        Parameters
        ----------
        paths
            Of the data these alone; else all that pointers and ``dvc.lock`` name.

        Raises
        ------
        DataError
            The list of a folder's files is missing or altered, and no remote has it.
        """
        store, names = self.store(), {}
        for path, md5 in self._do("find the data", outputs):
            name = path.relative_to(self.root).as_posix()
            if paths and name not in paths:
                continue
            if md5.endswith(".dir"):
                names[md5] = f"the list of {name}"
            names |= {each: str(Path(name) / file) for file, each in store.files(md5, name).items()}
        return names

    def obtain(self) -> list[str]:
        """Bring the data that a training may read to the tree, every byte hashed.

        That is all that pointers name but what is kept as it came. What the cache lacks, or holds
        altered, is brought from the default remote.

        Returns
        -------
        list of str
            The paths.

        Raises
        ------
        DataError
            An object is missing or altered, and no remote has it; it is named.
        """
        store = self.store()
        named = self._do("find the data", lambda repo: outputs(repo, made=False))
        pointers = {path.relative_to(self.root).as_posix(): md5 for path, md5 in named}
        pointers.pop(RAW, None)
        for path, md5 in pointers.items():
            files = store.files(md5, path)
            store.ensure({each: f"{path}/{name}" for name, each in files.items()})
            self.checkout(path)
            refuse_altered(self.root / path, md5, store.objects)
        return list(pointers)

    def version(self, path: str = LAKE) -> DatasetVersion | None:
        """Return what the pointer to `path` names, or None where there is no pointer."""
        return pointed(self.root, path)

    def files(self, path: str = LAKE) -> frozenset[str]:
        """Return the files of the version that the pointer names; none where there is no pointer.

        Raises
        ------
        DataError
            The cache lacks the list of them.
        """
        return self.files_of(self.version(path))

    def files_of(self, version: DatasetVersion | None) -> frozenset[str]:
        """Return the files of a version, as `files` does of the one that the pointer names."""
        if version is None:
            return frozenset()
        if self._objects is None:
            self._objects = self._do("find the cache", objects_of)
        return frozenset(listing(version.md5, self._objects))

    def add(self, path: str = LAKE, *, new: Sequence[str] = ()) -> DatasetVersion:
        """Take `path` as it now is into the cache and write its pointer, ``<path>.dvc``.

        Parameters
        ----------
        new
            Files within a folder that has a pointer already: only these are looked at, so that
            what one more batch costs hardly grows with those before.

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
        return read_pointer(self._pointer(path).read_text("utf-8"))

    def union(
        self, other_pointer: str, base_pointer: str | None = None, path: str = LAKE, *, on_disk: bool = True
    ) -> DatasetVersion:
        """Bring the files that another version of the folder has into this one.

        Parameters
        ----------
        other_pointer
            The text of the other version's ``.dvc`` file; its data must be in the cache or the remote.
        base_pointer
            That of the common ancestor: what the other has removed since is removed here, too.
        on_disk
            Bring both sides' files to the disk; else only what had to be copied lies there.

        Raises
        ------
        ConflictError
            Both hold a file of one name with different content; nothing was changed.
        DataError
            The cache lacks the other version's data or holds it altered, and no remote has it.
        """
        ours, store = self.version(path), self.store()
        base = read_pointer(base_pointer) if base_pointer else None
        merged = merge(
            ours=store.files(ours.md5, path) if ours else {},
            theirs=store.files(read_pointer(other_pointer).md5, path),
            base=store.files(base.md5, path) if base else {},
            path=path,
        )
        if ours is not None and on_disk:
            self.checkout(path)
        if ours is not None and not merged.added and not merged.removed:
            return ours
        store.ensure({md5: f"{path}/{name}" for name, md5 in merged.added.items()})
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)  # DVC takes files out of a folder that is there
        for name in merged.removed:
            (folder / name).unlink(missing_ok=True)
        for name, md5 in merged.added.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.objects(md5), folder / name)
        if merged.removed:
            log.info("taken out of %s, as your branch has it: %s", folder, shown(merged.removed))
        return self.add(path, new=(*merged.removed, *merged.added))

    def checkout(self, path: str = LAKE) -> None:
        """Check out the version that the pointer names to `path`; what was not added is removed.

        What the cache lacks comes from the remote.

        Raises
        ------
        DataError
            The cache lacks some of it, and so does the remote, or there is none.
        """
        version, store = self.version(path), self.store()
        if version is not None:
            files = store.files(version.md5, path)
            store.fill({md5: f"{path}/{name}" for name, md5 in files.items()})
        self._do(f"check out {path}", lambda repo: repo.checkout([str(self.root / path)], force=True))

    def verify(self, path: str = LAKE) -> DatasetVersion:
        """Hash `path` again, byte for byte, and compare it with what its pointer names.

        DVC itself trusts a cached object that looks untouched, and would serve altered data.

        Raises
        ------
        DataError
            A file is altered or missing; it is named.
        """
        version = self._named(path)
        refuse_altered(self.root / path, version.md5, self._do("find the cache", objects_of))
        return version

    def restore(self, path: str = LAKE, *, aside: Path) -> DatasetVersion:
        """Hash `path` as `verify` does, and restore what is altered or missing.

        From the cache where that has it intact, else from the remote; either is logged.

        Parameters
        ----------
        aside
            A folder for altered files: somebody may have meant the change.

        Raises
        ------
        DataError
            Neither has a file's content; the file is named.
        """
        version = self._named(path)
        self.store().restore(self.root / path, version.md5, path, aside=aside)
        return version

    def status(self) -> dict[str, Any]:
        """Return the output of ``dvc status``; empty where everything is up to date."""

        def action(repo: Repo) -> dict[str, Any]:
            with lock_repo(repo):
                stages = [reproduction.placed(stage) for stage in repo.index.stages]
                return {name: what for stage in stages for name, what in stage.status().items()}

        return self._do("get the status", action)

    def cache(self) -> Path:
        """Return the folder of the cache, which several trees may share."""
        return Path(self._do("find the cache", lambda repo: str(repo.cache.local_cache_dir)))

    def objects(
        self, commits: Sequence[str] = (), versions: Sequence[str] = (), *, beside: Sequence[DvcTree] = ()
    ) -> CacheUse:
        """Return the cache's objects, split by whether anything needs them.

        Needed is what the files on disk, any branch, tag or experiment names.

        Parameters
        ----------
        commits
            What these name is needed as well.
        versions
            The md5 of data that is needed as well.
        beside
            Other trees on this cache, whose files on disk count too.
        """
        wanted = self._do("read its commits", lambda repo: needed(repo, commits, versions))
        for other in beside:
            wanted |= other._do("read its commits", needed)
        files = self._do("list the cache", cached_objects)
        return CacheUse(
            needed=[file for md5, file in files.items() if md5 in wanted],
            spare=[file for md5, file in files.items() if md5 not in wanted],
        )

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
        names = self._do(
            "reproduce the stages", lambda repo: reproduction.reproduce(repo, run, stages, ran, force=force)
        )
        data = self.version()
        return Reproduced(
            ran=tuple(name for name in names if name in ran),
            skipped=tuple(name for name in names if name not in ran),
            lock_sha=hashing.of_file(self.root / DVC_LOCK),
            data_md5=data.md5 if data else None,
        )

    def _named(self, path: str) -> DatasetVersion:
        version = self.version(path)
        if version is None:
            raise DataError(f"{path} has no pointer.", remedy=f"Add it first: `dvc add {path}`.")
        return version

    def _pointer(self, path: str) -> Path:
        return self.root / f"{path}.dvc"

    def _do(self, doing: str, action: Callable[[Repo], _T]) -> _T:
        return with_repo(self.root, doing, action, patience=self._patience)


def _write_defaults(repo: Repo) -> None:
    """Write what the loop needs of DVC's configuration, where the project doesn't say otherwise."""
    configured = any("analytics" in repo.config.load_one(level)["core"] for level in repo.config.files)
    with repo.config.edit("repo") as config:
        # No hardlinks: an edited one corrupts the cache (dvc#9641). And the index is the person's.
        config["cache"].setdefault("type", "reflink,copy")
        if not configured:
            config["core"]["analytics"] = False
        config["core"].setdefault("autostage", False)


def _remotes(repo: Repo) -> tuple[dict[str, Any], str | None]:
    """Return the remotes that a project and its person configured, and the default one's name.

    Their folders are absolute here: a worktree lies elsewhere.
    """
    levels = [repo.config.load_one(level) for level in ("repo", "local")]
    named: dict[str, dict[str, Any]] = {}
    for name, options in (remote for level in levels for remote in level["remote"].items()):
        named[name] = {**named.get(name, {}), **options}
    return named, repo.config["core"].get("remote")
