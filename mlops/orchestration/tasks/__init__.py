"""Prefect tasks, one module a flow: what the flows in a project's ``flows/`` chain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.orchestration.tasks import deploy, experiment, ingest, monitor, push, retrain, score, train

__all__ = ["deploy", "experiment", "ingest", "monitor", "push", "retrain", "score", "train"]


def __getattr__(name: str) -> Any:
    """Import a module of tasks when a flow asks for it: each flow runs in a process of its own."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
