"""Where the project's Prefect is: the variables that its clients need, the tags of its runs."""

from __future__ import annotations

import os
import time

from mlops.config.project_folder import ProjectFolder
from mlops.errors import UnavailableError
from mlops.files import hashing
from mlops.net.credentials import to_prefect, variables
from mlops.net.request import ask

__all__ = ["connect", "environment", "here", "hush", "labels"]


def environment(folder: ProjectFolder) -> dict[str, str]:
    """Return the variables a process that talks to this project's Prefect needs."""
    return {
        "PREFECT_API_URL": folder.prefect_uri,
        "PREFECT_HOME": str(folder.home / "prefect"),
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
        "MLFLOW_TRACKING_URI": folder.mlflow_uri,
    }


def connect(folder: ProjectFolder, *, quiet: bool = True, patience: float = 0.0) -> None:
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
    os.environ.update(environment(folder) | variables(folder.settings))
    if quiet:
        hush()
    deadline = time.monotonic() + patience
    access = to_prefect(folder.settings)
    while trouble := ask(f"{folder.prefect_uri}/health", timeout=5, access=access).trouble:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                "Prefect",
                folder.prefect_uri,
                remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
                cause=trouble,
            )
        time.sleep(0.2)


def hush() -> None:
    """Keep Prefect's own log lines off the terminal, which shows ours; call before prefect is imported."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def labels(folder: ProjectFolder) -> tuple[str, str]:
    """Return the tags by which this project's runs are known in Prefect."""
    return ("mlops", folder.params.data.name)


def here(folder: ProjectFolder) -> str:
    """Return the tag of what verbs run in this folder, which no clone on the same Prefect shares."""
    return f"in:{hashing.of_value(str(folder.home))[:12]}"
