"""DVC's reproduction of stages, with two changes.

``Repo.reproduce`` hands each stage to a function; ours hands it on to the caller, who may run it as
a task of their own. And commands that are ours run in this process, instead of one that imports
everything again. Both lean on private parts of DVC, which is why pyproject.toml bounds it;
tests/contract/test_vendor_seams.py holds the seam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dvc.stage.run
from dvc.exceptions import DvcException, ReproductionError
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import _reproduce_stage
from dvc.rwlock import RWLockFileCorruptedError
from dvc.stage import PipelineStage, create_stage
from dvc.stage.cache import StageCache
from dvc.stage.loader import StageLoader

from mlops.adapters.dvc.cache import objects_of, refuse_altered, sweep_outputs
from mlops.config.paths import GRAPH
from mlops.errors import MlopsError, StageError, shown

__all__ = ["Run", "Stages", "placed", "reproduce"]

Run = Callable[[str, Callable[[], None]], object]
"""Called with a stage's name and its body, which it calls."""
Stages = Mapping[str, Callable[[Path], None]]
"""Our stages by name; each takes the root of a tree."""


def reproduce(repo: Repo, run: Run, stages: Stages, ran: list[str], *, force: bool) -> list[str]:
    """Bring the stages of `repo` up to date; see `mlops.adapters.dvc.tree.DvcTree.reproduce`.

    Parameters
    ----------
    ran
        Receives the name of each stage whose command is run.

    Returns
    -------
    list of str
        The names of all stages, in the graph's order.
    """
    names: list[str] = []

    def step(stage: Any, **how: Any) -> Any:
        if not isinstance(placed(stage), PipelineStage) or stage.frozen:
            return _reproduce_stage(stage, **how)
        names.append(stage.name)
        if how["force"] or stage.changed(upstream=how["upstream"]):
            return _handed_to(run, stage, how)
        return None

    with lock_repo(repo):
        sweep_outputs(repo)
    repo.stage_cache = _RunCache(repo)
    try:
        with _in_process(repo, stages, ran):
            repo.reproduce([str(Path(repo.root_dir) / GRAPH)], force=force, repro_fn=step)
        return names
    except ReproductionError as exc:
        reason = exc.__cause__ or exc
    # Outside the clause, so that DVC's error is not shown as the cause of the reason.
    raise reason


class _RunCache(StageCache):  # type: ignore[misc]  # DVC has no types
    """DVC's run cache, but relative to the project's folder; DVC's own takes the process's."""

    def _create_stage(self, cache: Any, wdir: str | None = None) -> Any:
        outs = [out["path"] for out in cache["outs"]]
        path = str(Path(self.repo.root_dir) / GRAPH)
        stage = create_stage(PipelineStage, repo=self.repo, path=path, cmd=cache["cmd"], wdir=wdir, outs=outs)
        StageLoader.fill_from_lock(stage, cache)
        return stage


def placed(stage: Any) -> Any:
    """Set the stage's path relative to the project; DVC's is relative to the process's folder."""
    stage.relpath = stage.path_in_repo
    return stage


def _handed_to(run: Run, stage: Any, how: Mapping[str, Any]) -> Any:
    """Let `run` call DVC's own reproduction of one stage, and return what that returned."""
    done: list[Any] = []

    def body() -> None:
        try:
            if how["force"]:  # else DVC reads the inputs itself, on its way past the run cache
                stage.save_deps()
            done.append(_reproduce_stage(stage, **how))
        except (LockError, RWLockFileCorruptedError):
            raise
        except DvcException as exc:
            raise StageError(f"Stage {stage.name} failed: {exc}.") from exc

    _hold_inputs(stage)
    run(stage.name, body)
    if not done:
        raise StageError(f"Stage {stage.name} was not run: its runner never called it.")
    return done[-1]


def _hold_inputs(stage: Any) -> None:
    """Record `stage` with its inputs as they were before its body.

    Plain DVC reads them again after the body, so a parameter edited meanwhile is recorded as the
    one the model was trained with.
    """
    record = stage.save

    def save(**how: Any) -> None:
        moved = [str(dep) for dep in stage.deps if dep.status()]
        if moved:
            raise StageError(
                f"{shown(moved)} changed while stage {stage.name} ran; its result was not recorded.",
                remedy="Leave the inputs unchanged and run it again.",
            )
        stage.save_deps = lambda **_: None
        try:
            record(**how)
        finally:
            del stage.save_deps

    stage.save = save


@contextmanager
def _in_process(repo: Repo, stages: Stages, ran: list[str]) -> Iterator[None]:
    """Run the stages of `repo` in this process where their commands are ours."""
    plain = dvc.stage.run.cmd_run
    objects = objects_of(repo)

    def cmd_run(stage: Any, dry: bool = False, run_env: Any = None) -> None:
        if stage.repo is not repo:
            plain(stage, dry=dry, run_env=run_env)
            return
        for dep in stage.deps:
            # What git tracks, and parameters, are not in the cache.
            if dep.hash_info and dep.hash_info.name == "md5" and objects(dep.hash_info.value).exists():
                refuse_altered(Path(dep.fs_path), dep.hash_info.value, objects)
        ran.append(stage.name)
        names = _ours(stage.cmd, stages)
        if not names or stage.wdir != repo.root_dir:
            plain(stage, dry=dry, run_env=run_env)
            return
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
    words = [line.split() for line in lines]
    ours = all(
        len(line) == 4 and line[:3] == ["python", "-m", "mlops.stages"] and line[3] in stages
        for line in words
    )
    return [line[3] for line in words] if ours else []
