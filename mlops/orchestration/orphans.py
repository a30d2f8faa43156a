"""Orphaned runs: flow runs whose process was killed are ended, in Prefect and in MLflow.

Each process of ours writes a mark, see `mlops.project.run_marks`: on a shared Prefect and MLflow, no
run of another machine or project is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psutil

from mlops.adapters.prefect_server.environment import folder_tag, project_tags
from mlops.errors import UnavailableError
from mlops.project import run_marks
from mlops.project.context import Project
from mlops.project.run_marks import Mark, marks

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

__all__ = ["mark", "reap", "sweep"]

_YOUNG = timedelta(seconds=60)
"""A younger run without a mark may still be starting: imports take seconds."""
_HALF_WRITTEN = timedelta(hours=1)


def mark(home: Path) -> None:
    """Write the mark of the current flow run; outside of one, do nothing."""
    from prefect.runtime import flow_run

    if flow_run.id is not None:
        run_marks.write(home, str(flow_run.id))


def reap(project: Project, *, now: datetime) -> list[str]:
    """End the runs whose process is gone, in Prefect and in MLflow; return a line for each.

    Where MLflow does not respond, the mark stays for the next time.
    """
    from prefect.client.orchestration import get_client

    dead = [mark for mark in marks(project.folder.home) if mark.is_dead]
    done: list[str] = []
    with get_client(sync_client=True) as prefect:
        for mark in dead:
            with suppress(UnavailableError):
                done.extend(_end_run(project, prefect, mark))
                mark.file.unlink(missing_ok=True)
        done.extend(_crash(prefect, run) for run in _runs_without_mark(project, prefect, now))
    return done


def sweep(project: Project, *, now: datetime) -> list[str]:
    """Remove half-written files of killed processes from DVC's cache, and truncate the services' logs."""
    from mlops.adapters.dvc import cache
    from mlops.adapters.dvc.tree import DvcTree
    from mlops.adapters.targets.process import ProcessTarget

    cut = ProcessTarget(project.folder.home).cut_logs()
    done = [f"truncated {cut} service logs"] if cut else []
    if not (project.folder.root / ".dvc").is_dir():
        return done
    swept = cache.sweep(DvcTree(project.folder.root).cache(), now - _HALF_WRITTEN)
    return [*done, f"removed {swept} half-written files from DVC's cache"] if swept else done


def _end_run(project: Project, prefect: SyncPrefectClient, mark: Mark) -> Iterator[str]:
    from prefect.exceptions import ObjectNotFound

    try:
        run = prefect.read_flow_run(UUID(mark.run))
    except ObjectNotFound:  # deleted in Prefect
        return
    state = run.state
    if state is None or state.is_completed():
        return
    if not state.is_final() and not state.is_scheduled():
        yield _crash(prefect, run)
    # A run that failed while MLflow was down could not end its MLflow run either.
    for id in project.registry.reap(mark.run):
        yield f"ended run {id[:8]} in MLflow, left by flow run {run.name}"


def _crash(prefect: SyncPrefectClient, run: FlowRun) -> str:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.states import Crashed

    message = (
        "Its process ended unexpectedly: it was killed, or the machine went down. Run it again to resume."
    )
    which = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    for step in prefect.read_task_runs(flow_run_filter=which):
        if step.state is not None and not step.state.is_final():
            prefect.set_task_run_state(step.id, Crashed(message=message), force=True)
    prefect.set_flow_run_state(run.id, Crashed(message=message), force=True)
    return f"marked flow run {run.name} as crashed: its process is gone"


def _runs_without_mark(project: Project, prefect: SyncPrefectClient, now: datetime) -> Iterator[FlowRun]:
    """Yield runs, of a command or of the runner, whose process was gone before it wrote a mark.

    Only in the project's own Prefect: in a shared one the run may be another machine's. Even there, a
    clone on this machine may run a command, whose mark is in its own folder.
    """
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    folder = project.folder
    if folder.prefect_uri != f"http://127.0.0.1:{folder.settings.prefect_port}/api":
        return
    taken_up = filters.FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
    ours = filters.FlowRunFilterTags(all_=list(project_tags(folder)))
    found = prefect.read_flow_runs(
        flow_run_filter=filters.FlowRunFilter(state=filters.FlowRunFilterState(type=taken_up), tags=ours)
    )
    old = [run for run in found if run.state is not None and run.state.timestamp < now - _YOUNG]
    marked = {mark.run for mark in marks(folder.home)}
    theirs = {run.id for run in old if run.deployment_id is None and folder_tag(folder) not in run.tags}
    unmarked = [run for run in old if str(run.id) not in marked and run.id not in theirs]
    alive = _runs_of_processes() if unmarked else set()
    yield from (run for run in unmarked if str(run.id) not in alive)


def _runs_of_processes() -> set[str]:
    """Return the flow runs that processes of this machine execute."""
    runs = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            runs.add(process.environ().get("PREFECT__FLOW_RUN_ID", ""))
    return runs
