"""Services of a running loop, which `mlops up` starts and `mlops down` stops: commands and ports."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mlops.adapters.prefect_server.environment import environment
from mlops.adapters.processes.supervisor import Part
from mlops.files.ports import check_port
from mlops.files.private import current_umask
from mlops.project.context import Project
from mlops.project.health import (
    serving_supervisor,
    tools_supervisor,
)

__all__ = [
    "Port",
    "check_ports",
    "exclusive",
    "gateway_part",
    "mlflow_part",
    "pids",
    "ports",
    "prefect_part",
    "runner_part",
]


@dataclass(frozen=True)
class Port:
    """A port, the part that listens on it, and the variable that chooses another."""

    number: int
    part: str
    setting: str


def check_ports(project: Project) -> None:
    """Raise PortTakenError if another process has a port of ours."""
    processes = set(pids(project).values())
    for port in ports(project):
        check_port(port.number, part=port.part, setting=port.setting, allowed_pids=processes)


def exclusive(project: Project, name: str) -> AbstractContextManager[None]:
    """Hold a command's lock: a second `up`, `down` or deployment of the project waits for the first."""
    return project.hold(
        name,
        patience=90,
        refusal=f"Another `mlops {name}` of this project is running.",
        remedy="Wait for it, and run the command again.",
    )


def prefect_part(project: Project) -> Part | None:
    """Return Prefect's server, None where it runs elsewhere."""
    settings = project.folder.settings
    if settings.prefect_api_url:
        return None
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    extra = {"PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false"}
    return Part(
        "prefect", [*command, "--port", str(settings.prefect_port)], environment(project.folder) | extra
    )


def mlflow_part(project: Project) -> Part | None:
    """Return MLflow's server, None where it runs elsewhere."""
    from mlops.adapters.mlflow.server import part_command, server_environment

    settings = project.folder.settings
    if settings.mlflow_tracking_uri:
        return None
    return Part("mlflow", part_command(project.folder.home, settings.mlflow_port), server_environment())


def runner_part(project: Project) -> Part:
    """Return the runner, which serves the flows."""
    command = [sys.executable, "-m", "mlops.orchestration.runner", str(project.folder.root)]
    # It registers flows under the project's name at start only: another name needs a restart.
    variables = environment(project.folder) | {"MLOPS_NAME": project.params.data.name}
    # Its flows commit, push and write scores as a command does, with the rights that the person gives.
    return Part("runner", command, variables, umask=current_umask())


def gateway_part(project: Project) -> Part:
    """Return the gateway."""
    # All that it forwards to is on this machine: no proxy has a part in it.
    gateway = project.gateway
    environment = {"NO_PROXY": "*", "no_proxy": "*", "MLOPS_GATEWAY": gateway.digest()}
    return Part("gateway", gateway.command(), environment)


def ports(project: Project) -> list[Port]:
    """Return the ports that our own parts listen on."""
    settings = project.folder.settings
    wanted = {"gateway_port": "the gateway", "gateway_api_port": "the gateway's API"}
    if not settings.prefect_api_url:
        wanted["prefect_port"] = "Prefect"
    if not settings.mlflow_tracking_uri:
        wanted["mlflow_port"] = "MLflow"
    own = [Port(getattr(settings, name), part, f"MLOPS_{name.upper()}") for name, part in wanted.items()]
    if project.exposure:
        own.append(Port(project.exposure.port, "the gateway, for other machines", "deploy.expose.address"))
    return own


def pids(project: Project) -> dict[str, int]:
    """Return the process ids of the parts that run, by part."""
    return tools_supervisor(project).pids() | serving_supervisor(project).pids()
