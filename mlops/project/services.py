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
from mlops.project.context import Loop
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


def up(loop: Loop, *, told: Tell, patience: float = 120.0) -> list[Health]:
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
    name_check.check(loop)
    before = tools_supervisor(loop).pids().get("runner")
    _start(loop)
    prefect, mlflow, gateway = watched_parts(loop)
    _wait(loop, gateway, patience, told)
    _bring_back(loop, told)
    for part in (prefect, mlflow):
        _wait(loop, part, patience, told)
    _wake_runner(loop, before, told)
    _wait_runner(loop, patience, told)
    for flow in schedule.apply(loop.project):
        told(f"{flow} runs as params.yaml says now")
    return health(loop)


def ensure(loop: Loop, *, told: Tell) -> None:
    """Start the loop where nothing of it was started and a flow is to run; else leave it as it is.

    A part that was started and does not answer is for `up` to mend, one elsewhere for its owner.

    Raises
    ------
    NameTakenError
        On a server that runs elsewhere another project is called the same: it is told before an
        hour's training, and not by MLflow after it.
    """
    if _prefect(loop) is not None and tools_supervisor(loop).pid() is None:
        told("the loop is not up: starting it (`mlops down` stops it)")
        up(loop, told=told)
    else:
        name_check.check(loop)


def down(loop: Loop, *, serving: bool = False) -> list[str]:
    """Stop the tools; with `serving` also the model services and the gateway. Say what stopped.

    Raises
    ------
    ConflictError
        An `up`, a `down`, or, with `serving`, a deployment of this project is at work.
    """
    with _alone(loop, "up"):
        stopped = ["tools"] if tools_supervisor(loop).stop() else []
        if serving:
            with _alone(loop, "deploy"):
                for target in loop.targets:
                    for service in target.running(ailing=True):
                        target.stop(service, drain=5)
                        stopped.append(service.id)
            stopped += ["gateway"] if serving_supervisor(loop).stop() else []
    return stopped


def _start(loop: Loop) -> None:
    tools, serving = tools_supervisor(loop), serving_supervisor(loop)
    with _alone(loop, "up"):
        for supervisor in (tools, serving):
            supervisor.clear()
        _check_ports(loop)
        serving.start([_gateway(loop)])
        tools.start([part for part in (_prefect(loop), _mlflow(loop), _runner(loop)) if part is not None])


def _check_ports(loop: Loop) -> None:
    ours = owned(loop)
    for port in ports(loop):
        check_port(port.number, part=port.part, setting=port.setting, owned=ours)


def _alone(loop: Loop, name: str) -> AbstractContextManager[None]:
    return loop.hold(
        name,
        patience=90,
        refusal=f"Another `mlops {name}` of this project is at work.",
        remedy="Wait for it, and do it again.",
    )


def _bring_back(loop: Loop, told: Tell) -> None:
    """Start what served before a reboot. What hinders that must not keep the tools from coming up."""
    try:
        bring_back(loop)
    except MlopsError as exc:
        told(f"what served is not back: {exc}")


def _prefect(loop: Loop) -> Part | None:
    settings = loop.project.settings
    if settings.prefect_api_url:
        return None
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    extra = {"PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false"}
    return Part(
        "prefect", [*command, "--port", str(settings.prefect_port)], environment(loop.project) | extra
    )


def _mlflow(loop: Loop) -> Part | None:
    from mlops.adapters.mlflow.server import part_command, server_environment

    settings = loop.project.settings
    if settings.mlflow_tracking_uri:
        return None
    return Part("mlflow", part_command(loop.project.home, settings.mlflow_port), server_environment())


def _runner(loop: Loop) -> Part:
    command = [sys.executable, "-m", "mlops.orchestration.runner", str(loop.project.root)]
    # It registers what goes by the project's name only as it starts.
    return Part("runner", command, environment(loop.project) | {"MLOPS_NAME": loop.params.data.name})


def _gateway(loop: Loop) -> Part:
    return Part("gateway", loop.gateway.command())


def ports(loop: Loop) -> list[Port]:
    """Return the ports that our own parts listen on."""
    settings = loop.project.settings
    wanted = {"gateway_port": "the gateway", "gateway_api_port": "the gateway's API"}
    if not settings.prefect_api_url:
        wanted["prefect_port"] = "Prefect"
    if not settings.mlflow_tracking_uri:
        wanted["mlflow_port"] = "MLflow"
    return [Port(getattr(settings, name), part, f"MLOPS_{name.upper()}") for name, part in wanted.items()]


def owned(loop: Loop) -> set[int]:
    """Return the process ids of the parts that run."""
    return set(_pids(loop).values())


def _pids(loop: Loop) -> dict[str, int]:
    return tools_supervisor(loop).pids() | serving_supervisor(loop).pids()


def _wait(loop: Loop, part: Watched, patience: float, told: Tell) -> None:
    # What runs elsewhere either answers or does not; only our own take time to start.
    patience = ELSEWHERE if part.elsewhere else patience

    def trouble() -> str:
        said = part.ask(timeout=2).trouble
        if not said and not part.elsewhere:
            _check_ports(loop)  # two projects that came up at once: who answers may be the other's
        return said

    _until(loop, part, trouble, patience)
    where = f"elsewhere, as {part.elsewhere} says: " if part.elsewhere else "at "
    told(f"{part.part} answers {where}{part.address}")


def _wake_runner(loop: Loop, before: int | None, told: Tell) -> None:
    """Have a runner that ran before register its flows again where Prefect does not know them all.

    Somebody deleted one there, or that Prefect has another database now: it does so only as it starts.
    """
    tools = tools_supervisor(loop)
    if before is None or tools.pids().get("runner") != before or registered(loop):
        return
    with suppress(psutil.NoSuchProcess):
        if time.time() - psutil.Process(before).create_time() > REGISTERS:
            told("Prefect does not know every flow: the runner registers them again")
            tools.restart("runner")


def _wait_runner(loop: Loop, patience: float, told: Tell) -> None:
    """Wait until every flow is registered and the runner asks for work: then an event finds its flow."""
    before = polled(loop)
    runner = Watched("runner", loop.project.prefect_uri, "")
    idle = "it has not asked Prefect for work"
    _until(loop, runner, lambda: idle if polled(loop) in {before, None} else "", patience)
    told("runner serves the flows")


def _until(loop: Loop, part: Watched, trouble: Callable[[], str], patience: float) -> None:
    """Wait until a part is without trouble; give up early on one that keeps ending."""
    deadline, log = time.monotonic() + patience, loop.project.home / "logs" / f"{part.part}.log"
    processes: set[int] = set()
    while why := trouble():
        processes |= {pid for name, pid in _pids(loop).items() if name == part.part}
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
