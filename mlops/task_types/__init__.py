"""What is predicted: a class each, and the register that a project may add to.

The serving image carries this package: standard library and numpy at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops.register import Register
from mlops.task_types.binary import Binary
from mlops.task_types.multiclass import Multiclass
from mlops.task_types.regression import Regression
from mlops.task_types.task_type import Task

__all__ = ["BINARY", "MULTICLASS", "REGISTER", "REGRESSION", "Task", "find", "of_classes", "register"]

BINARY, MULTICLASS, REGRESSION = Binary(), Multiclass(), Regression()
REGISTER: Register[Task] = Register("model.task", BINARY, MULTICLASS, REGRESSION)
register, find = REGISTER.register, REGISTER.find


def of_classes(classes: Sequence[Any] | None) -> Task:
    """Return the task that predictions are of, by the labels that they are made of; None for values."""
    if classes is None:
        return REGRESSION
    return BINARY if len(classes) == BINARY.most_classes else MULTICLASS
