"""The parts of a running loop: what `mlops up` starts, where each listens, whether it answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from mlops.adapters.supervisor import Part, Supervisor
from mlops.errors import UnavailableError
from mlops.orchestration.loop import Loop
from mlops.orchestration.prefect_api import environment
from mlops.ports import check_port

ELSEWHERE = 5.0
"""Seconds to wait for a part that runs elsewhere."""

__all__ = ["Health", "down", "health", "serving_supervisor", "tools_supervisor", "up"]


@dataclass(frozen=True)
class Health:
    """Whether one part answers, and where."""

    part: str
    address: str
    up: bool


def tools_supervisor(loop: Loop) -> Supervisor:
    """Return the supervisor of Prefect, MLflow and the runner."""
    return Supervisor(loop.project.home, "tools")


def serving_supervisor(loop: Loop) -> Supervisor:
    """Return the supervisor of the gateway; stopping the tools leaves it alone."""
    return Supervisor(loop.project.home, "serving")


def up(loop: Loop, *, told: Callable[[str], None], patience: float = 120.0) -> list[Health]:
    """Start what does not run yet and wait until every part answers.

    Parameters
    ----------
    told
        Called with a line when a part is ready.

    Raises
    ------
    PortTakenError
        A port belongs to another process.
    UnavailableError
        A part did not answer in `patience` seconds; its log is named.
    """
    tools, serving = tools_supervisor(loop), serving_supervisor(loop)
    _check_ports(loop, owned={*tools.pids().values(), *serving.pids().values()})
    serving.start([_gateway(loop)])
    own = [part for part in (_prefect(loop), _mlflow(loop)) if part is not None]
    tools.start([*own, _runner(loop)])
    for state in _addresses(loop):
        # What runs elsewhere either answers or does not; only our own take time to start.
        here = state.part == "gateway" or state.part in {part.name for part in own}
        _wait(loop, state.part, state.address, patience if here else ELSEWHERE, told)
    _wait_runner(loop, patience, told)
    return health(loop)


def down(loop: Loop, *, serving: bool = False) -> list[str]:
    """Stop the tools; with `serving` also the model services and the gateway. Say what stopped."""
    stopped = ["tools"] if tools_supervisor(loop).stop() else []
    if serving:
        for target in loop.targets:
            for service in target.running():
                target.stop(service, drain=5)
                stopped.append(service.id)
        stopped += ["gateway"] if serving_supervisor(loop).stop() else []
    return stopped


def health(loop: Loop) -> list[Health]:
    """Ask each part once; imports nothing heavy."""
    answers = [Health(part.part, part.address, _answers(part.address)) for part in _addresses(loop)]
    runner = tools_supervisor(loop).states().get("runner") == "RUNNING"
    return [*answers, Health("runner", "", runner)]


def _addresses(loop: Loop) -> list[Health]:
    project, settings = loop.project, loop.project.settings
    return [
        Health("prefect", f"{project.prefect_uri}/health", False),
        Health("mlflow", f"{project.mlflow_uri}/health", False),
        Health("gateway", f"http://127.0.0.1:{settings.gateway_api_port}/api/version", False),
    ]


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
    from mlops.adapters.mlflow_server import part_command, server_environment

    settings = loop.project.settings
    if settings.mlflow_tracking_uri:
        return None
    return Part("mlflow", part_command(loop.project.home, settings.mlflow_port), server_environment())


def _runner(loop: Loop) -> Part:
    command = [sys.executable, "-m", "mlops.orchestration.runner", str(loop.project.root)]
    return Part("runner", command, environment(loop.project))


def _gateway(loop: Loop) -> Part:
    return Part("gateway", loop.gateway.command())


def _check_ports(loop: Loop, *, owned: set[int]) -> None:
    settings = loop.project.settings
    wanted = {"gateway_port": "the gateway", "gateway_api_port": "the gateway's API"}
    if not settings.prefect_api_url:
        wanted["prefect_port"] = "Prefect"
    if not settings.mlflow_tracking_uri:
        wanted["mlflow_port"] = "MLflow"
    for name, part in wanted.items():
        check_port(getattr(settings, name), part=part, setting=f"MLOPS_{name.upper()}", owned=owned)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _wait(loop: Loop, part: str, address: str, patience: float, told: Callable[[str], None]) -> None:
    started = time.monotonic()
    log = loop.project.home / "logs" / f"{part}.log"
    while not _answers(address):
        states = tools_supervisor(loop).states() | serving_supervisor(loop).states()
        if time.monotonic() - started > patience or states.get(part) == "FATAL":
            remedy = (
                f"See {log}." if part in states else "It runs elsewhere: check its address and that it is up."
            )
            raise UnavailableError(part, address, remedy=remedy)
        time.sleep(0.2)
    told(f"{part} answers at {address.removesuffix('/health').removesuffix('/api/version')}")


def _wait_runner(loop: Loop, patience: float, told: Callable[[str], None]) -> None:
    """Wait until every flow is registered: from then on an event finds its flow."""
    name = loop.params.data.name
    started = time.monotonic()
    while not _is_ready(f"{loop.project.prefect_uri}/deployments/name/deploy/{name}"):
        if time.monotonic() - started > patience:
            log = loop.project.home / "logs" / "runner.log"
            raise UnavailableError("The runner", loop.project.prefect_uri, remedy=f"See {log}.")
        time.sleep(0.3)
    told("runner serves the flows")


def _is_ready(deployment: str) -> bool:
    try:
        answer = httpx.get(deployment, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success and answer.json()["status"] == "READY"
