"""The loop that keeps a model fresh: a project opened from Python, and the computations that need none.

`open` gives a project: its champion, its predictions, windows, decisions and data as DataFrames.
`measure_drift` and `compare_models` work on any tables. Importing this package loads nothing heavy:
each name is brought in when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; `typing` itself would take longer than all the rest
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from mlops import errors
    from mlops.deployment.client import Client
    from mlops.evaluation.compare_models import compare_models
    from mlops.model.bundle import Bundle
    from mlops.monitoring.measure_drift import measure_drift
    from mlops.project.context import Project
    from mlops.project.trained_model import TrainedModel
    from mlops.schema import Schema

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "Client",
    "Project",
    "Schema",
    "TrainedModel",
    "__version__",
    "compare_models",
    "errors",
    "measure_drift",
    "open",
]

# By name, not imported: the image of a model carries this file, and with it whatever it imports.
_HOMES = {
    "Bundle": "mlops.model.bundle",
    "Client": "mlops.deployment.client",
    "Project": "mlops.project.context",
    "Schema": "mlops.schema",
    "TrainedModel": "mlops.project.trained_model",
    "compare_models": "mlops.evaluation.compare_models",
    "measure_drift": "mlops.monitoring.measure_drift",
}


def open(path: str | Path = ".") -> Project:
    """Open a project: the folder that holds a params.yaml, or any folder within it.

    Nothing is started and nothing is changed. What the project recorded is read from its files: the
    ledger, the prediction log, the bundles. Neither Prefect nor MLflow has to run.

    Parameters
    ----------
    path
        The project's folder, or one inside it.

    Returns
    -------
    Project
        Its repr says what serves. See `Project` for what it can be asked.

    Raises
    ------
    mlops.errors.UsageError
        Neither `path` nor a folder above it holds a params.yaml.
    mlops.errors.ConfigError
        A variable of the environment that the project reads has a value that cannot be used.

    Examples
    --------
    >>> project = mlops.open(".")
    >>> predicted = project.champion.predict(rows)
    """
    from importlib import import_module

    project: Project = import_module("mlops.project.context").Project.at(path)
    return project


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("mlops.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'mlops' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
