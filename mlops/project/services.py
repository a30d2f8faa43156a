"""The parts of a running loop: what `mlops up` starts and brings back, and `mlops down` stops."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlops.adapters.prefect_server.environment import environment
from mlops.adapters.processes.supervisor import Part
from mlops.errors import MlopsError, UnavailableError
from mlops.files.ports import check_port
from mlops.project import name_check, schedule
from mlops.project.context import Project
from mlops.project.deploy import bring_back
from mlops.project.health import (
    Health,
    Watched,
    health,
    polled,
    registered,
    serving_supervisor,
    tools_supervisor,
)
from mlops.project.health import watched as watched_parts

__all__ = ["Port", "down", "ensure", "owned", "ports", "up"]

ELSEWHERE = 5.0
"""Seconds to wait for a part that runs elsewhere."""
REGISTERS = 30.0
"""Seconds that a runner which comes up may take to tell Prefect of its flows."""
MOST_STARTS = 3
"""A part that was started more often than that will not come up by waiting."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Port:
    """A port, the part that listens on it, and the variable that chooses another."""

    number: int
    part: str
    setting: str


def up(project: Project, *, told: Tell, patience: float = 120.0) -> list[Health]:
    """Start what does not run yet, bring back what served, and wait until every part answers.

    Parameters
    ----------
    told
        Called with a line when a part is ready.

    Raises
    ------
    PortTakenError
        A port belongs to another process; nothing was started, or another project came up in the
        same moment and has it.
    NameTakenError
        On a server that runs elsewhere another project is called the same; nothing was started.
    UnavailableError
        A part did not answer in `patience` seconds; its log is named.
    ConflictError
        Another `up` or `down` of this project does not come to its end.
    """
    name_check.check(project)
    before = tools_supervisor(project).pids().get("runner")
    _start(project)
    prefect, mlflow, gateway = watched_parts(project)
    _wait(project, gateway, patience, told)
    _bring_back(project, told)
    for part in (prefect, mlflow):
        _wait(project, part, patience, told)
    _wake_runner(project, before, told)
    _wait_runner(project, patience, told)
    for flow in schedule.apply(project.folder):
        told(f"{flow} runs as params.yaml says now")
    return health(project)


def ensure(project: Project, *, told: Tell) -> None:
    """Start the loop where nothing of it was started and a flow is to run; else leave it as it is.

    A part that was started and does not answer is for `up` to mend, one elsewhere for its owner.

    Raises
    ------
    NameTakenError
        On a server that runs elsewhere another project is called the same: it is told before an
        hour's training, and not by MLflow after it.
    """
    if _prefect(project) is not None and tools_supervisor(project).pid() is None:
        told("the loop is not up: starting it (`mlops down` stops it)")
        up(project, told=told)
    else:
        name_check.check(project)


def down(project: Project, *, serving: bool = False) -> list[str]:
    """Stop the tools; with `serving` also the model services and the gateway. Say what stopped.

    Raises
    ------
    ConflictError
        An `up`, a `down`, or, with `serving`, a deployment of this project is at work.
    """
    with _alone(project, "up"):
        stopped = ["tools"] if tools_supervisor(project).stop() else []
        if serving:
            with _alone(project, "deploy"):
                for target in project.targets:
                    for service in target.running(ailing=True):
                        target.stop(service, drain=5)
                        stopped.append(service.id)
            stopped += ["gateway"] if serving_supervisor(project).stop() else []
    return stopped


def _start(project: Project) -> None:
    tools, serving = tools_supervisor(project), serving_supervisor(project)
    with _alone(project, "up"):
        for supervisor in (tools, serving):
            supervisor.clear()
        _check_ports(project)
        serving.start([_gateway(project)])
        tools.start(
            [part for part in (_prefect(project), _mlflow(project), _runner(project)) if part is not None]
        )


def _check_ports(project: Project) -> None:
    ours = owned(project)
    for port in ports(project):
        check_port(port.number, part=port.part, setting=port.setting, owned=ours)


def _alone(project: Project, name: str) -> AbstractContextManager[None]:
    return project.hold(
        name,
        patience=90,
        refusal=f"Another `mlops {name}` of this project is at work.",
        remedy="Wait for it, and do it again.",
    )


def _bring_back(project: Project, told: Tell) -> None:
    """Start what served before a reboot. What hinders that must not keep the tools from coming up."""
    try:
        bring_back(project)
    except MlopsError as exc:
        told(f"what served is not back: {exc}")


def _prefect(project: Project) -> Part | None:
    settings = project.folder.settings
    if settings.prefect_api_url:
        return None
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    extra = {"PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false"}
    return Part(
        "prefect", [*command, "--port", str(settings.prefect_port)], environment(project.folder) | extra
    )


def _mlflow(project: Project) -> Part | None:
    from mlops.adapters.mlflow.server import part_command, server_environment

    settings = project.folder.settings
    if settings.mlflow_tracking_uri:
        return None
    return Part("mlflow", part_command(project.folder.home, settings.mlflow_port), server_environment())


def _runner(project: Project) -> Part:
    command = [sys.executable, "-m", "mlops.orchestration.runner", str(project.folder.root)]
    # It registers what goes by the project's name only as it starts.
    return Part("runner", command, environment(project.folder) | {"MLOPS_NAME": project.params.data.name})


def _gateway(project: Project) -> Part:
    return Part("gateway", project.gateway.command())


def ports(project: Project) -> list[Port]:
    """Return the ports that our own parts listen on."""
    settings = project.folder.settings
    wanted = {"gateway_port": "the gateway", "gateway_api_port": "the gateway's API"}
    if not settings.prefect_api_url:
        wanted["prefect_port"] = "Prefect"
    if not settings.mlflow_tracking_uri:
        wanted["mlflow_port"] = "MLflow"
    return [Port(getattr(settings, name), part, f"MLOPS_{name.upper()}") for name, part in wanted.items()]


def owned(project: Project) -> set[int]:
    """Return the process ids of the parts that run."""
    return set(_pids(project).values())


def _pids(project: Project) -> dict[str, int]:
    return tools_supervisor(project).pids() | serving_supervisor(project).pids()


def _wait(project: Project, part: Watched, patience: float, told: Tell) -> None:
    # What runs elsewhere either answers or does not; only our own take time to start.
    patience = ELSEWHERE if part.elsewhere else patience

    def trouble() -> str:
        said = part.ask(timeout=2).trouble
        if not said and not part.elsewhere:
            _check_ports(project)  # two projects that came up at once: who answers may be the other's
        return said

    _until(project, part, trouble, patience)
    where = f"elsewhere, as {part.elsewhere} says: " if part.elsewhere else "at "
    told(f"{part.part} answers {where}{part.address}")


def _wake_runner(project: Project, before: int | None, told: Tell) -> None:
    """Have a runner that ran before register its flows again where Prefect does not know them all.

    Somebody deleted one there, or that Prefect has another database now: it does so only as it starts.
    """
    tools = tools_supervisor(project)
    if before is None or tools.pids().get("runner") != before or registered(project):
        return
    with suppress(psutil.NoSuchProcess):
        if time.time() - psutil.Process(before).create_time() > REGISTERS:
            told("Prefect does not know every flow: the runner registers them again")
            tools.restart("runner")


def _wait_runner(project: Project, patience: float, told: Tell) -> None:
    """Wait until every flow is registered and the runner asks for work: then an event finds its flow."""
    before = polled(project)
    runner = Watched("runner", project.folder.prefect_uri, "")
    idle = "it has not asked Prefect for work"
    _until(project, runner, lambda: idle if polled(project) in {before, None} else "", patience)
    told("runner serves the flows")


def _until(project: Project, part: Watched, trouble: Callable[[], str], patience: float) -> None:
    """Wait until a part is without trouble; give up early on one that keeps ending."""
    deadline, log = time.monotonic() + patience, project.folder.home / "logs" / f"{part.part}.log"
    processes: set[int] = set()
    while why := trouble():
        processes |= {pid for name, pid in _pids(project).items() if name == part.part}
        if len(processes) > MOST_STARTS:
            why = f"it keeps ending: {_last_line(log)}"
        if time.monotonic() > deadline or len(processes) > MOST_STARTS:
            own = f"See {log}, mend the cause, and run `mlops up` again."
            remedy = part.remedy if part.elsewhere else own
            raise UnavailableError(part.part, part.address, remedy=remedy, cause=why)
        time.sleep(0.2)


def _last_line(log: Path) -> str:
    try:
        return next((line for line in reversed(log.read_text(errors="replace").splitlines()) if line), "")
    except FileNotFoundError:
        return ""
