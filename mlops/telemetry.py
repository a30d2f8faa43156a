"""The switches that turn off what packages report about their users, set in every process of ours."""

from __future__ import annotations

from collections.abc import MutableMapping

__all__ = ["SWITCHES", "turn_off"]

SWITCHES = {
    "DO_NOT_TRACK": "1",  # Prefect's client, Evidently, MLflow
    "DVC_NO_ANALYTICS": "1",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",  # what DVC and Evidently report with
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Variable → the value that turns it off."""


def turn_off(environ: MutableMapping[str, str]) -> None:
    """Set every switch; call it before what reports is imported."""
    environ.update(SWITCHES)
