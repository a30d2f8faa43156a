"""DVC, in this process: data that git only points to, and the graph of stages.

`DvcTree.reproduce` is DVC's own ``Repo.reproduce``, with two things of ours in it: each stage is
handed to the caller, who may run it as a task of their own, and commands that are ours run in this
process instead of one that imports everything again. Both lean on private parts of DVC, which is
why pyproject.toml bounds it; tests/adapters/test_dvc.py holds the seam.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import dvc.stage.run
from dvc.exceptions import CheckoutError, DvcException, ReproductionError
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import _reproduce_stage
from dvc.rwlock import RWLockFileCorruptedError
from dvc.stage import PipelineStage, create_stage
from dvc.stage.cache import StageCache
from dvc.stage.loader import StageLoader
from filelock import FileLock, Timeout

from mlops import fingerprint
from mlops.errors import ConflictError, DataError, MlopsError, StageError, shown
from mlops.version import DatasetVersion, Reproduced, read_pointer

__all__ = ["LAKE", "DvcTree"]

LAKE = "data/lake"
"""The folder of data that every project has."""

Stages = Mapping[str, Callable[[Path], None]]
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

    def add(self, path: str = LAKE) -> DatasetVersion:
        """Take `path` as it now is into the cache and write its pointer, ``<path>.dvc``.

        Raises
        ------
        MlopsError
            There is nothing at `path`, or a stage makes it.
        ConflictError
            Another process works in this tree. Do it again.
        """
        self._do(f"add {path}", lambda repo: repo.add(str(self.root / path)))
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
        objects = self._do("find the cache", _objects)
        folder = self.root / path
        missing: list[tuple[Path, Path]] = []
        for name, md5 in _listing(theirs.md5, objects).items():
            if not (folder / name).exists():
                _refuse_altered(objects(md5), md5, objects)
                missing.append((objects(md5), folder / name))
            elif _md5(folder / name) != md5:
                raise ConflictError(
                    f"{path}/{name} differs in two versions of the data.",
                    remedy="Files of a lake are never rewritten: rename one of them and add it again.",
                )
        for source, target in missing:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return self.add(path)

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
        _refuse_altered(self.root / path, version.md5, self._do("find the cache", _objects))
        return version

    def status(self) -> dict[str, Any]:
        """Return what ``dvc status`` tells; empty where everything is up to date."""
        return dict(self._do("tell the status", lambda repo: repo.status()))

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
        run: Callable[[str, Callable[[], None]], object] = lambda _, body: body(),
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
        ran: list[str] = []
        seen: list[str] = []

        def step(stage: Any, **how: Any) -> Any:
            if not isinstance(stage, PipelineStage) or stage.frozen:
                return _reproduce_stage(stage, **how)
            seen.append(stage.name)
            if how["force"] or stage.changed(upstream=how["upstream"]):
                return _handed_to(run, stage, how)
            return None

        def action(repo: Repo) -> None:
            repo.stage_cache = _RunCache(repo)
            del ran[:], seen[:]
            try:
                with _in_process(repo, stages, ran):
                    repo.reproduce([str(self.root / "dvc.yaml")], force=force, repro_fn=step)
                return
            except ReproductionError as exc:
                reason = exc.__cause__ or exc
            raise reason

        self._do("reproduce the stages", action)
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
        deadline = time.monotonic() + self._patience
        try:
            with FileLock(self.root / ".dvc" / "tmp" / "mlops.lock", timeout=self._patience):
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


class _RunCache(StageCache):  # type: ignore[misc]  # DVC has no types
    """DVC's run cache. DVC's own takes the process's folder for the project's."""

    def _create_stage(self, cache: Any, wdir: str | None = None) -> Any:
        outs = [out["path"] for out in cache["outs"]]
        path = str(Path(self.repo.root_dir) / "dvc.yaml")
        stage = create_stage(PipelineStage, repo=self.repo, path=path, cmd=cache["cmd"], wdir=wdir, outs=outs)
        StageLoader.fill_from_lock(stage, cache)
        return stage


def _handed_to(run: Callable[[str, Callable[[], None]], object], stage: Any, how: Mapping[str, Any]) -> Any:
    """Let `run` call DVC's own reproduction of one stage, and return what that returned."""
    done: list[Any] = []

    def body() -> None:
        if how["force"]:  # else DVC reads them itself, on its way past the run cache
            stage.save_deps()
        try:
            done.append(_reproduce_stage(stage, **how))
        except (LockError, RWLockFileCorruptedError):
            raise
        except DvcException as exc:
            raise StageError(f"Stage {stage.name} failed: {exc}.") from exc

    _hold_inputs(stage)
    run(stage.name, body)
    if not done:
        raise StageError(f"Stage {stage.name} was not run by what it was handed to.")
    return done[-1]


def _hold_inputs(stage: Any) -> None:
    """Let `stage` be recorded with its inputs as they were before its body alone.

    Plain DVC reads them again after the body, so a parameter edited meanwhile is recorded as the
    one the model was trained with.
    """
    record = stage.save

    def save(**how: Any) -> None:
        moved = [str(dep) for dep in stage.deps if dep.status()]
        if moved:
            raise StageError(
                f"{shown(moved)} changed while stage {stage.name} ran; its result was not recorded.",
                remedy="Let the inputs rest and run it again.",
            )
        stage.save_deps = lambda **_: None
        try:
            record(**how)
        finally:
            del stage.save_deps

    stage.save = save


@contextmanager
def _in_process(repo: Repo, stages: Stages, ran: list[str]) -> Iterator[None]:
    """Let the stages of `repo` run here where their commands are ours."""
    plain = dvc.stage.run.cmd_run
    objects = _objects(repo)

    def cmd_run(stage: Any, dry: bool = False, run_env: Any = None) -> None:
        if stage.repo is not repo:
            return plain(stage, dry=dry, run_env=run_env)
        for dep in stage.deps:
            known = dep.hash_info and dep.hash_info.name == "md5"
            if known and (not dep.hash_info.isdir or objects(dep.hash_info.value).exists()):
                _refuse_altered(Path(dep.fs_path), dep.hash_info.value, objects)
        ran.append(stage.name)
        names = _ours(stage.cmd, stages)
        if not names or stage.wdir != repo.root_dir:
            return plain(stage, dry=dry, run_env=run_env)
        for name in names:
            try:
                stages[name](Path(repo.root_dir))
            except MlopsError:
                raise
            except Exception as exc:
                raise StageError(f"Stage {stage.name} failed: {type(exc).__name__}: {exc}.") from exc

    dvc.stage.run.cmd_run = cmd_run
    try:
        yield
    finally:
        dvc.stage.run.cmd_run = plain


def _ours(command: str | list[str], stages: Stages) -> list[str]:
    """Return the names in `stages` that the lines of a command call; none where a line is no such."""
    lines = command if isinstance(command, list) else command.splitlines()
    words = [shlex.split(line) for line in lines]
    ours = all(
        len(line) == 4 and line[:3] == ["python", "-m", "mlops.stages"] and line[3] in stages for line in words
    )
    return [line[3] for line in words] if ours else []


def _objects(repo: Repo) -> Callable[[str], Path]:
    """Return the function that tells where the cache keeps an object."""
    folder = Path(repo.cache.local.path)
    return lambda md5: folder / md5[:2] / md5[2:]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _listing(md5: str, objects: Callable[[str], Path]) -> dict[str, str]:
    """Return relative path → md5 of a folder's files, from the cache."""
    _refuse_altered(objects(md5), md5.removesuffix(".dir"), objects)
    return {entry["relpath"]: entry["md5"] for entry in json.loads(objects(md5).read_bytes())}


def _refuse_altered(path: Path, md5: str, objects: Callable[[str], Path]) -> None:
    if md5.endswith(".dir"):
        for name, each in _listing(md5, objects).items():
            _refuse_altered(path / name, each, objects)
    elif not path.is_file() or _md5(path) != md5:
        raise DataError(
            f"{path} is {'not what was recorded' if path.exists() else 'missing'} (md5 {md5}).",
            remedy=f"Remove {objects(md5)} and the file, and bring them from the remote: `dvc pull`.",
        )
