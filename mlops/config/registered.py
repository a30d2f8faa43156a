"""The words of params.yaml that a project's own module may add to: feature types, tasks, losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from mlops import feature_types, task_types
from mlops.register import Register
from mlops.task_types import losses

__all__ = ["FeatureType", "Metric", "Registered", "Task"]


@dataclass(frozen=True)
class Registered:
    """Allows the words of a register, which a project's own module may have added to."""

    register: Register[Any]

    def __call__(self, word: str) -> str:
        """Return the word.

        Raises
        ------
        ValueError
            Nothing of this name is registered.
        """
        if word in self.register:
            return word
        *others, last = (repr(name) for name in self.register.names)
        raise ValueError(f"{', '.join(others)} or {last}")


FeatureType = Annotated[str, AfterValidator(Registered(feature_types.REGISTER))]
Task = Annotated[str, AfterValidator(Registered(task_types.REGISTER))]
Metric = Annotated[str, AfterValidator(Registered(losses.REGISTER))]
