"""`model.search`: which values of the model's parameters are tried, and for how long."""

from __future__ import annotations

from datetime import timedelta
from math import isfinite
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from mlops.config.durations import parse_duration

__all__ = ["AxisParams", "SearchParams", "Section"]


def _number(value: Any) -> int | float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError("a finite number")
    return cast("int | float", value)


def _scalar(value: Any) -> bool | int | float | str | None:
    if not isinstance(value, bool | int | float | str | None):
        raise ValueError("text, a number, true, false or null")
    return value


Number = Annotated[int | float, PlainValidator(_number)]
Scalar = Annotated[bool | int | float | str | None, PlainValidator(_scalar)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class Section(BaseModel):
    """A section of params.yaml: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AxisParams(Section):
    """The values one of `model.params` may take: numbers from `low` to `high`, or those of a list."""

    low: Number | None = None
    """The smallest value. Only whole numbers are tried if `low`, `high` and `step` are whole."""
    high: Number | None = None
    """The largest value."""
    log: bool = False
    """Draw on a logarithmic scale."""
    step: Number | None = Field(default=None, gt=0)
    """Try only `low` and whole steps above it."""
    choices: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    """The values to try; a plain list in place of the section means the same."""

    @model_validator(mode="before")
    @classmethod
    def _a_list_is_choices(cls, value: Any) -> Any:
        return {"choices": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _one_of_two(self) -> AxisParams:
        if self.choices is not None:
            if {"low", "high", "log", "step"} & self.model_fields_set:
                raise ValueError("either low and high, or choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high, or a list of values")
        if self.low >= self.high:
            raise ValueError("low below high")
        if self.log and self.low <= 0:
            raise ValueError("log with low above 0")
        if self.log and self.step is not None:
            raise ValueError("either log or step")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        ends = (self.low, self.high, *(() if self.step is None else (self.step,)))
        return all(isinstance(end, int) for end in ends)


class SearchParams(Section):
    """Which values of `model.params` are tried, and for how long; the best ones are used."""

    space: dict[str, AxisParams] = Field(min_length=1)
    """For each name in `model.params` to vary, its possible values."""
    trials: int = Field(default=30, ge=1, le=1000)
    """How many combinations to try."""
    time_limit: Duration | None = None
    """No trial starts after this time. How many fit into it depends on the machine, so the same inputs may
    give another model."""
    pruning: bool = True
    """End a trial early if its first folds are worse than the median of the others."""
    folds: int = Field(default=3, ge=2)
    """How many parts of the training rows a trial is measured on, each time fitted on the rows before."""
