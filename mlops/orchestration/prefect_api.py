"""Reaching Prefect: its address in this process's settings, and a quick word on whether it answers."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from mlops import fingerprint
from mlops.access import to_prefect, variables
from mlops.config import Project
from mlops.errors import UnavailableError, UsageError
from mlops.outcome import Outcome
from mlops.probe import ask

__all__ = ["connect", "environment", "here", "hush", "labels", "load_flow", "run_flow"]


def environment(project: Project) -> dict[str, str]:
    """Return the variables a process that talks to this project's Prefect needs."""
    return {
        "PREFECT_API_URL": project.prefect_uri,
        "PREFECT_HOME": str(project.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
        # What the library logs is shown with the flow run; there are few runs, so that costs little.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mlops",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        # How soon a retraining that finds another at work looks again; the default is 30 s.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        # Idle threads that spin take the core from the servers that run beside a fit.
        "OMP_WAIT_POLICY": "passive",
        "MLFLOW_TRACKING_URI": project.mlflow_uri,
    }


def connect(project: Project, *, quiet: bool = True, patience: float = 0.0) -> None:
    """Point this process at the project's Prefect; call before prefect is imported.

    Parameters
    ----------
    quiet
        Keep Prefect's own log lines off the terminal; they go to its server, where the run is.
    patience
        Seconds to go on asking.

    Raises
    ------
    UnavailableError
        Prefect does not answer within seconds.
    """
    os.environ.update(environment(project) | variables(project.settings))
    if quiet:
        hush()
    deadline = time.monotonic() + patience
    access = to_prefect(project.settings)
    while trouble := ask(f"{project.prefect_uri}/health", timeout=5, access=access).trouble:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                "Prefect",
                project.prefect_uri,
                remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
                cause=trouble,
            )
        time.sleep(0.2)


def hush() -> None:
    """Keep Prefect's own log lines off the terminal, which shows ours; call before prefect is imported."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def labels(project: Project) -> tuple[str, str]:
    """Return the tags by which this project's runs are known in Prefect."""
    return ("mlops", project.params.data.name)


def here(project: Project) -> str:
    """Return the tag of what verbs run in this folder, which no clone on the same Prefect shares."""
    return f"in:{fingerprint.of_value(str(project.home))[:12]}"


def run_flow(project: Project, name: str, **parameters: Any) -> Outcome:
    """Run a flow of the project in this process, as one of its runs; return how it ended."""
    from prefect import State, tags
    from prefect.exceptions import MissingResult

    from mlops.orchestration import run

    flow = load_flow(project, name)
    flow.fn = _untagged(flow.fn)
    ends: list[State] = []

    def note_end(_flow: Any, _run: Any, state: State) -> None:
        ends.append(state)

    flow.on_completion(note_end)
    with tags(*labels(project), here(project)), suppress(MissingResult):  # see `run.outcome`
        flow(**parameters)
    return run.outcome(ends[-1])


def _untagged(body: Callable[..., Any]) -> Callable[..., Any]:
    """Let the tags of a flow's run not come to its tasks.

    Before a tagged task Prefect asks its database for a slot of each tag, and where that is busy the
    step waits for seconds.
    """
    from prefect.context import TagsContext

    @wraps(body)
    def untagged(*args: Any, **kwargs: Any) -> Any:
        with TagsContext(current_tags=set()):
            return body(*args, **kwargs)

    return untagged


def load_flow(project: Project, name: str) -> Any:
    """Load ``flows/<name>.py`` by path and return the flow of that name.

    Raises
    ------
    UsageError
        The project has no such flow.
    """
    path = project.root / "flows" / f"{name}.py"
    if not path.is_file():
        raise UsageError(f"{path} does not exist.", remedy="Restore it from the project's template.")
    spec = importlib.util.spec_from_file_location(f"flows_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Prefect looks a flow's module up by name when it validates parameters.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)
