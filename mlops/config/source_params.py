"""`data.source` of params.yaml: the register of what a mapping there may be, each with its keys.

A source is a section here, which names its class in `mlops.adapters.sources`. A class of the project's own
needs no section: see `CustomSourceParams`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from mlops.addresses import has_secret

__all__ = [
    "FILE_AND_NAME",
    "SOURCES",
    "CustomSourceParams",
    "DeltaParams",
    "FunctionParams",
    "Source",
    "SourceParams",
    "SqlParams",
]

FILE_AND_NAME = r"^[^:]+\.py:[A-Za-z_]\w*$"
"""A file of the project and a name in it, as ``models/churn/source.py:load``."""


def _without_secret(address: str) -> str:
    if has_secret(address):
        raise ValueError(
            "an address whose password or token is a variable of the environment, as ${DB_PASSWORD}"
        )
    return address


class SourceParams(BaseModel):
    """A mapping under `data.source`, known by the key that `SOURCES` has it under."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: ClassVar[str]
    """What a person calls it."""
    adapter: ClassVar[str]
    """``module:Class``; its `from_params` takes the section and a `mlops.data.source.SourceContext`."""


class SqlParams(SourceParams):
    """The rows of a query."""

    title = "a SQL query"
    adapter = "mlops.adapters.sources.sql:SqlSource"

    sql: str = Field(min_length=1)
    """The query."""
    url: str = Field(min_length=1)
    """The database's address for SQLAlchemy; ``${NAME}`` stands for an environment variable."""
    cursor: str | None = None
    """A column that only grows: rows beyond the greatest value taken so far are new."""

    _no_secret = field_validator("url")(_without_secret)


class DeltaParams(SourceParams):
    """A Delta table."""

    title = "a Delta table"
    adapter = "mlops.adapters.sources.delta:DeltaSource"

    delta: str = Field(min_length=1)
    """The table's folder or address."""
    version: int | None = Field(default=None, ge=0)
    """The version to read; default: the newest, of which the rows added since the last look are new."""

    _no_secret = field_validator("delta")(_without_secret)


class FunctionParams(SourceParams):
    """The rows that a function of the project returns."""

    title = "a function"
    adapter = "mlops.adapters.sources.function:FunctionSource"

    function: str = Field(pattern=FILE_AND_NAME)
    """``FILE.py:NAME``: returns a DataFrame, or yields some; may take ``since``."""
    cursor: str | None = None
    """As for a query; without one, everything counts as new whenever any of it changed."""


class CustomSourceParams(SourceParams):
    """A source that the project has a class for; all other keys are passed to the class."""

    model_config = ConfigDict(extra="allow", frozen=True)

    title = "a class"
    adapter = "mlops.adapters.sources.custom_source:CustomSource"

    class_: str = Field(alias="class", pattern=FILE_AND_NAME)
    """``FILE.py:NAME``: called with the `SourceContext` and the other keys; has the method `fetch` of a
    `Source`."""

    @model_validator(mode="after")
    def _no_secret(self) -> CustomSourceParams:
        for value in (self.model_extra or {}).values():
            if isinstance(value, str):
                _without_secret(value)
        return self


SOURCES: dict[str, type[SourceParams]] = {
    "sql": SqlParams,
    "delta": DeltaParams,
    "function": FunctionParams,
    "class": CustomSourceParams,
}
"""The mappings that `data.source` may be, each by the key that only it has."""


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return next((kind for kind in SOURCES if kind in value), "sql")
    return next((kind for kind, section in SOURCES.items() if type(value) is section), "address")


if TYPE_CHECKING:
    Source = str | SourceParams
else:
    Source = Annotated[
        reduce(
            or_,
            (Annotated[section, Tag(kind)] for kind, section in SOURCES.items()),
            Annotated[str, Field(min_length=1), AfterValidator(_without_secret), Tag("address")],
        ),
        Discriminator(_kind),
    ]
    """Text, which names files here or at an address, or one of `SOURCES`."""
