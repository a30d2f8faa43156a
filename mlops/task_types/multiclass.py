"""The task `multiclass`."""

from __future__ import annotations

from mlops.task_types.task_type import Task

__all__ = ["Multiclass"]


class Multiclass(Task):
    """One of several labels."""

    name = "multiclass"
    noun = "multiclass label"
    default_loss = "log_loss"
