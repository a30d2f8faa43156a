"""What of params.yaml a project's own module may add to: feature types, column formats, tasks, losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator

from mlops import column_formats, feature_types, task_types
from mlops.register import Register
from mlops.task_types import losses

__all__ = ["ColumnFormat", "FeatureType", "Metric", "Registered", "Task"]


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


def _column_format(value: Any) -> column_formats.ColumnFormat:
    return value if isinstance(value, column_formats.ColumnFormat) else column_formats.of_params(value)


FeatureType = Annotated[str, AfterValidator(Registered(feature_types.REGISTER))]
Task = Annotated[str, AfterValidator(Registered(task_types.REGISTER))]
Metric = Annotated[str, AfterValidator(Registered(losses.REGISTER))]
ColumnFormat = Annotated[column_formats.ColumnFormat, PlainValidator(_column_format)]
