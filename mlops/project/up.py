"""What `mlops up` does: start the services, restart the deployment, wait until all respond."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from mlops.adapters.git.worktree import Tree
from mlops.errors import MlopsError, UnavailableError
from mlops.files import private
from mlops.project import schedule
from mlops.project.context import Project
from mlops.project.deploy import restart_serving
from mlops.project.health import (
    Health,
    Watched,
    health,
    polled,
    registered,
    serving_supervisor,
    tools_supervisor,
    watched,
)
from mlops.project.name_check import check_name_conflict
from mlops.project.services import (
    check_ports,
    exclusive,
    gateway_part,
    mlflow_part,
    pids,
    prefect_part,
    runner_part,
)

__all__ = ["ensure", "up"]

ELSEWHERE = 5.0
"""Seconds to wait for a part that runs elsewhere."""
REGISTERS = 30.0
"""Seconds within which a starting runner registers its flows in Prefect."""
MOST_STARTS = 3
"""A part that was started more often keeps crashing: waiting does not help."""

OnProgress = Callable[[str], None]


def up(project: Project, *, on_progress: OnProgress, patience: float = 120.0) -> list[Health]:
    """Start what does not run yet, restart the deployment, and wait until every part responds.

    Parameters
    ----------
    on_progress
        Called with a line when a part is ready.

    Raises
    ------
    PortTakenError
        A port belongs to another process; nothing was started, or another project that started at
        the same moment has it.
    NameTakenError
        A server elsewhere has another project of the same name; nothing was started.
    UsageError
        The project is a git submodule, or lies inside another repository: it could not retrain.
    UnavailableError
        A part did not respond within `patience` seconds; its log is named.
    ConflictError
        Another `up` or `down` of this project does not finish.
    """
    if (tree := Tree(project.folder.root)).top() is not None:
        tree.check_top()  # else the loop could serve, and never retrain
    check_name_conflict(project)
    before = tools_supervisor(project).pids().get("runner")
    _start(project)
    prefect, mlflow, gateway = watched(project)
    _wait(project, gateway, patience, on_progress)
    _bring_back(project, on_progress)
    for part in (prefect, mlflow):
        _wait(project, part, patience, on_progress)
    _wake_runner(project, before, on_progress)
    _wait_runner(project, patience, on_progress)
    for flow in schedule.apply(project.folder):
        on_progress(f"schedule of {flow} updated from params.yaml")
    return health(project)


def ensure(project: Project, *, on_progress: OnProgress) -> None:
    """Start the loop if none of it was started and a flow is to run; otherwise leave it as it is.

    A part that was started and does not respond is for `up` to fix, one elsewhere for its owner.

    Raises
    ------
    NameTakenError
        A server elsewhere has another project of the same name: raised before an hour's training,
        not by MLflow after it.
    """
    if prefect_part(project) is not None and tools_supervisor(project).pid() is None:
        on_progress("starting the loop (`mlops down` stops it)")
        up(project, on_progress=on_progress)
    else:
        check_name_conflict(project)


def _start(project: Project) -> None:
    tools, serving = tools_supervisor(project), serving_supervisor(project)
    with exclusive(project, "up"):
        private.tighten(project.folder.home)
        for supervisor in (tools, serving):
            supervisor.clear()
        check_ports(project)
        serving.start([gateway_part(project)])
        parts = [prefect_part(project), mlflow_part(project), runner_part(project)]
        tools.start([part for part in parts if part is not None])


def _bring_back(project: Project, on_progress: OnProgress) -> None:
    """Restart what served before a reboot; if that fails, the tools start all the same."""
    try:
        restart_serving(project)
    except MlopsError as exc:
        on_progress(f"model not restored: {exc}")


def _wait(project: Project, part: Watched, patience: float, on_progress: OnProgress) -> None:
    # A server elsewhere is up or down; only our own parts take time to start.
    patience = ELSEWHERE if part.elsewhere else patience

    def find_problem() -> str:
        problem = part.ask(timeout=2).problem
        if not problem and not part.elsewhere:
            check_ports(project)  # two projects started at once: the other's part may respond
        return problem

    _until(project, part, find_problem, patience)
    where = f" ({part.elsewhere})" if part.elsewhere else ""
    on_progress(f"{part.part} is up at {part.address}{where}")


def _wake_runner(project: Project, before: int | None, on_progress: OnProgress) -> None:
    """Restart a runner that already ran if Prefect lacks some of its flows: it registers them at start only.

    Somebody deleted one there, or Prefect has another database now.
    """
    tools = tools_supervisor(project)
    if before is None or tools.pids().get("runner") != before or registered(project):
        return
    with suppress(psutil.NoSuchProcess):
        if time.time() - psutil.Process(before).create_time() > REGISTERS:
            on_progress("flows are missing in Prefect: the runner registers them again")
            tools.restart("runner")


def _wait_runner(project: Project, patience: float, on_progress: OnProgress) -> None:
    """Wait until every flow is registered and the runner polls for work: then an event finds its flow."""
    before = polled(project)
    runner = Watched("runner", project.folder.prefect_uri, "")
    idle = "it has not polled Prefect"
    _until(project, runner, lambda: idle if polled(project) in {before, None} else "", patience)
    on_progress("runner is up: it serves the flows")


def _until(project: Project, part: Watched, find_problem: Callable[[], str], patience: float) -> None:
    """Wait until a service has no problem; give up early on one that keeps crashing."""
    deadline, log = time.monotonic() + patience, project.folder.home / "logs" / f"{part.part}.log"
    processes: set[int] = set()
    while why := find_problem():
        processes |= {pid for name, pid in pids(project).items() if name == part.part}
        if len(processes) > MOST_STARTS:
            why = f"it keeps crashing: {_last_line(log)}"
        if time.monotonic() > deadline or len(processes) > MOST_STARTS:
            ours = f"See {log}, fix the cause, and run `mlops up` again."
            remedy = part.remedy if part.elsewhere else ours
            raise UnavailableError(part.part, part.address, remedy=remedy, cause=why)
        time.sleep(0.2)


def _last_line(log: Path) -> str:
    try:
        return next(
            (
                line
                for line in reversed(log.read_text(encoding="utf-8", errors="replace").splitlines())
                if line
            ),
            "",
        )
    except FileNotFoundError:
        return ""
