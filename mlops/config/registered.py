"""What of params.yaml a project's own module may add to: feature types, column formats, tasks, losses."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator

from mlops import column_formats, feature_types, task_types
from mlops.register import Register
from mlops.task_types import losses

__all__ = ["ColumnFormat", "FeatureType", "Metric", "Registered", "Task", "Word"]


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


def _word(value: Any) -> str | float:
    """Return what stands for a missing value; true is no number."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return value
    raise ValueError("words, in quotes where YAML reads them otherwise, and finite numbers")


FeatureType = Annotated[str, AfterValidator(Registered(feature_types.REGISTER))]
Task = Annotated[str, AfterValidator(Registered(task_types.REGISTER))]
Metric = Annotated[str, AfterValidator(Registered(losses.REGISTER))]
Word = Annotated[str | float, PlainValidator(_word)]
ColumnFormat = Annotated[
    column_formats.ColumnFormat,
    PlainValidator(_column_format),
    PlainSerializer(lambda format: format.to_params(), return_type=Any),
]
