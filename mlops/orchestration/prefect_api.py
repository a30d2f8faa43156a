"""Reaching Prefect: its address in this process's settings, and a quick word on whether it answers."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import Any

import httpx

from mlops.config import Project
from mlops.errors import UnavailableError, UsageError

__all__ = ["connect", "environment", "load_flow"]


def environment(project: Project) -> dict[str, str]:
    """Return the variables a process that talks to this project's Prefect needs."""
    return {
        "PREFECT_API_URL": project.prefect_uri,
        "PREFECT_HOME": str(project.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
        # One starts a flow a minute, not a thousand: what the library logs belongs to the run.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mlops",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        # A retraining that finds another at work looks again this soon; by default after 30 s.
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
        Keep Prefect's own log lines off the terminal.
    patience
        Seconds to go on asking.

    Raises
    ------
    UnavailableError
        Prefect does not answer within seconds.
    """
    os.environ.update(environment(project))
    if quiet:
        # The terminal shows our own lines; Prefect's go to its server, where the run is.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    deadline = time.monotonic() + patience
    while (trouble := _trouble(project)) is not None:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                "Prefect",
                project.prefect_uri,
                remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
                cause=type(trouble).__name__,
            ) from trouble
        time.sleep(0.2)


def _trouble(project: Project) -> httpx.HTTPError | None:
    try:
        httpx.get(f"{project.prefect_uri}/health", timeout=5, trust_env=False).raise_for_status()
    except httpx.HTTPError as exc:
        return exc
    return None


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
