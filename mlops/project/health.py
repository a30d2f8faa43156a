"""Health of the loop's parts: whether each responds, else why not and the fix. Imports nothing heavy."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mlops.adapters.prefect_server.rest import FLOWS, Deployments
from mlops.adapters.processes.supervisor import Supervisor
from mlops.addresses import masked
from mlops.errors import UnavailableError
from mlops.net.credentials import Access, for_mlflow, for_prefect
from mlops.net.request import Reply, get
from mlops.project.context import Project

__all__ = [
    "Health",
    "Watched",
    "check_running",
    "health",
    "polled",
    "registered",
    "serving_supervisor",
    "tools_supervisor",
    "watched",
]

_RUNS = {"STARTING", "RUNNING"}
_TITLES = {"prefect": "Prefect", "mlflow": "MLflow", "gateway": "The gateway"}


@dataclass(frozen=True)
class Health:
    """Health of one part.

    Parameters
    ----------
    problem
        Why it counts as down; empty where it is up.
    remedy
        How to fix that.
    """

    part: str
    address: str
    up: bool
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Watched:
    """A part that responds over HTTP.

    Parameters
    ----------
    address
        As it is shown.
    question
        The URL of its health check.
    elsewhere
        The variable that points to a server elsewhere; empty if the project runs the part itself.
    access
        Credentials for it.
    """

    part: str
    address: str
    question: str
    elsewhere: str = ""
    access: Access = Access()  # noqa: RUF009  # it is frozen

    @property
    def remedy(self) -> str:
        """What to do about one that runs elsewhere and does not respond."""
        login = f", the login in {self.access.variables}" if self.access.variables else ""
        return f"It runs elsewhere: check {self.elsewhere}{login}, and that it is up."

    def ask(self, *, timeout: float) -> Reply:
        """Check whether it is up and accepts the credentials."""
        return get(self.question, timeout=timeout, access=self.access)


def tools_supervisor(project: Project) -> Supervisor:
    """Return the supervisor of Prefect, MLflow and the runner."""
    return Supervisor(project.folder.home, "tools")


def serving_supervisor(project: Project) -> Supervisor:
    """Return the supervisor of the gateway, which keeps running when the tools stop."""
    return Supervisor(project.folder.home, "serving")


def watched(project: Project) -> list[Watched]:
    """Return the parts that respond over HTTP."""
    folder, settings = project.folder, project.folder.settings
    prefect, mlflow = folder.prefect_uri, folder.mlflow_uri
    shown = masked(prefect.removesuffix("/api"))
    other_prefect = "PREFECT_API_URL" if settings.prefect_api_url else ""
    other_mlflow = "MLFLOW_TRACKING_URI" if settings.mlflow_tracking_uri else ""
    gateway = f"http://127.0.0.1:{settings.gateway_api_port}/api/version"
    # Both report their health without credentials. Elsewhere, an endpoint that needs them is checked.
    of_prefect = f"{prefect}/admin/version" if other_prefect else f"{prefect}/health"
    experiment = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    of_mlflow = experiment if other_mlflow else f"{mlflow}/health"
    return [
        Watched("prefect", shown, of_prefect, other_prefect, for_prefect(settings)),
        Watched("mlflow", masked(mlflow), of_mlflow, other_mlflow, for_mlflow(settings)),
        Watched("gateway", folder.address, gateway),
    ]


def check_running(project: Project, name: str, *, remedy: str = "Start it with `mlops up`.") -> None:
    """Check that this project runs a part, unless it runs elsewhere.

    Another project may use the same ports; its server must not be used.

    Raises
    ------
    UnavailableError
        This project does not run it.
    """
    part = next(each for each in watched(project) if each.part == name)
    states = tools_supervisor(project).states() | serving_supervisor(project).states()
    if not part.elsewhere and states.get(name) not in _RUNS:
        raise UnavailableError(_TITLES[name], part.address, remedy=remedy, cause="this project runs none")


def health(project: Project, *, timeout: float = 0.5) -> list[Health]:
    """Check all services at once: those that do not respond cost `timeout` seconds together."""
    parts = watched(project)
    with ThreadPoolExecutor(len(parts) + 3) as pool:
        sets = [pool.submit(of(project).states) for of in (tools_supervisor, serving_supervisor)]
        runner = pool.submit(_problem_of_flows, project, timeout)
        # Another machine may be some way off.
        asked = [pool.submit(part.ask, timeout=timeout * (3 if part.elsewhere else 1)) for part in parts]
        replies = [each.result() for each in asked]
        states = sets[0].result() | sets[1].result()
    results = [_judge(part, reply, states) for part, reply in zip(parts, replies, strict=True)]
    state = states.get("runner")
    idle = runner.result() if state == "RUNNING" else "not running"
    return [*results, Health("runner", "", not idle, idle, _remedy("runner", state) if idle else "")]


def polled(project: Project) -> str | None:
    """Return when the runner last polled Prefect; None where it never did, or Prefect does not respond."""
    return _newest(project, 5)[0].get("last_polled")


def registered(project: Project) -> bool:
    """Tell whether every flow of the project is registered in Prefect.

    Raises
    ------
    MlopsError
        Prefect does not respond.
    """
    prefect, folder = Deployments(project.folder), project.folder.root / "flows"
    return all(prefect.of(flow) for flow in FLOWS if (folder / f"{flow}.py").is_file())


def _judge(part: Watched, reply: Reply, states: dict[str, str]) -> Health:
    state = states.get(part.part)
    if part.elsewhere:
        return Health(part.part, part.address, reply.ok, reply.problem, "" if reply.ok else part.remedy)
    problem = reply.problem
    if reply.ok and state not in _RUNS:
        problem = "another process responds there; this project runs none"
    remedy = _remedy(part.part, state) if problem else ""
    return Health(part.part, part.address, not problem, problem, remedy)


def _problem_of_flows(project: Project, timeout: float) -> str:
    """Return why no flow can be started through Prefect; empty where one can."""
    deployment, reply = _newest(project, timeout)
    if not deployment:
        return (
            f"Prefect: {reply.problem}" if reply.unauthorized else "its flows are not registered in Prefect"
        )
    return "" if deployment.get("status") == "READY" else "it has not polled Prefect lately"


def _newest(project: Project, timeout: float) -> tuple[dict[str, str], Reply]:
    """Return the deployment that is registered last, empty if there is none, and Prefect's response."""
    address = f"{project.folder.prefect_uri}/deployments/name/{FLOWS[-1]}/{project.params.data.name}"
    reply = get(address, timeout=timeout, access=for_prefect(project.folder.settings))
    try:
        deployment: dict[str, str] = json.loads(reply.body) if reply.ok else {}
    except ValueError:  # another server, not Prefect
        return {}, reply
    return deployment, reply


def _remedy(part: str, state: str | None) -> str:
    """Return how to fix a service of ours, by its state in the supervisor."""
    log = f".mlops/logs/{part}.log"
    if state is None or state == "STOPPED":
        return "Start it with `mlops up`."
    if state in {"STARTING", "RUNNING"}:
        return f"It may still be starting; else see {log}."
    return f"It keeps crashing: see {log}, fix the cause, and run `mlops up`."
