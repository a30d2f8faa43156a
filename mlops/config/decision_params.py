"""`model.threshold` and `model.costs`: what they may be, and for which task."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo

from mlops import task_types
from mlops.task_types.decision import BINARY_COSTS

__all__ = ["Costs", "suits_the_task"]


def _costs(value: Any) -> dict[Any, Any]:
    """Return costs, each a finite number above 0, by label or by label and what is predicted in its place."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("a mapping of costs, such as {false_positive: 1, false_negative: 5}")
    each = [cost for row in value.values() for cost in (row.values() if isinstance(row, Mapping) else [row])]
    if not each or any(type(cost) not in (int, float) or not isfinite(cost) or cost <= 0 for cost in each):
        raise ValueError("finite costs above 0")
    return dict(value)


Costs = Annotated[dict[Any, Any], PlainValidator(_costs)]


def suits_the_task(value: Any, info: ValidationInfo) -> Any:
    """Return a threshold or costs that the task can be decided by.

    Raises
    ------
    ValueError
        The task has no labels, or others; or both are set.
    """
    task = info.data.get("task")
    if value is None or task is None:
        return value
    is_binary = task == task_types.BINARY.name
    if not task_types.find(task).has_classes:
        raise ValueError(f"nothing: model.task is {task}, which has no labels to decide between")
    if info.field_name == "threshold":
        if not is_binary:
            raise ValueError(f"nothing: model.task is {task}; use model.costs")
    elif info.data.get("threshold") is not None:
        raise ValueError("nothing: model.threshold is set; set one of the two")
    elif is_binary is not (set(value) <= set(BINARY_COSTS)):
        raise ValueError(", ".join(BINARY_COSTS) if is_binary else "labels, each with its cost")
    return value
