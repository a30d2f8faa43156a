"""The environment of the project's Prefect clients, and the tags of its runs."""

from __future__ import annotations

import os
import time

from mlops import telemetry
from mlops.config.clean_environment import clean_process
from mlops.config.project_folder import ProjectFolder
from mlops.errors import UnavailableError
from mlops.files import hashing
from mlops.net.credentials import for_prefect, variables
from mlops.net.request import get

__all__ = ["connect", "environment", "folder_tag", "project_tags", "silence"]


def environment(folder: ProjectFolder) -> dict[str, str]:
    """Return the environment variables for a client of this project's Prefect."""
    return {
        "PREFECT_API_URL": folder.prefect_uri,
        "PREFECT_HOME": str(folder.home / "prefect"),
        **telemetry.SWITCHES,
        # Prefect shows the library's log lines with the flow run; there are few runs, so that is cheap.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mlops",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        # How often a retraining that waits for another one polls; the default is 30 s.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        # Spinning idle threads would take the cores from the servers that run beside a fit.
        "OMP_WAIT_POLICY": "passive",
        "MLFLOW_TRACKING_URI": folder.mlflow_uri,
    }


def connect(folder: ProjectFolder, *, quiet: bool = True, patience: float = 0.0) -> None:
    """Point this process at the project's Prefect, and at no other; call before prefect is imported.

    Parameters
    ----------
    quiet
        Keep Prefect's log lines off the terminal; its server shows them with the run.
    patience
        Seconds to retry.

    Raises
    ------
    UnavailableError
        Prefect does not respond in time.
    """
    clean_process()
    os.environ.update(environment(folder) | variables(folder.settings))
    if quiet:
        silence()
    deadline = time.monotonic() + patience
    access = for_prefect(folder.settings)
    while problem := get(f"{folder.prefect_uri}/health", timeout=5, access=access).problem:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                "Prefect",
                folder.prefect_uri,
                remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
                cause=problem,
            )
        time.sleep(0.2)


def silence() -> None:
    """Keep Prefect's log lines off the terminal; call before prefect is imported."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"


def project_tags(folder: ProjectFolder) -> tuple[str, str]:
    """Return the tags of this project's runs in Prefect."""
    return ("mlops", folder.params.data.name)


def folder_tag(folder: ProjectFolder) -> str:
    """Return the tag of runs that commands start in this folder; clones on the same Prefect have others."""
    return f"in:{hashing.of_value(str(folder.home))[:12]}"
