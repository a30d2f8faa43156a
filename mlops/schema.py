"""What a row is: the columns a model sees, and what each is for.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlops import column_formats, feature_types, task_types
from mlops.column_formats import ColumnFormat, MissingValues
from mlops.errors import ConfigError, shown
from mlops.feature_types import NUMBER, FeatureType
from mlops.task_types import Task

if TYPE_CHECKING:
    from mlops.config.params import Params

__all__ = ["RESERVED", "Schema"]

Reader = Callable[[Any], float | str]
"""From a JSON value to a model's; raises ValueError or OverflowError for what is none of its type."""

RESERVED = frozenset(("id", "key", "time", "at", "deployment", "version", "prediction", "score"))
"""What the prediction log calls its own columns, beside the features and the target."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and what each is for.

    Parameters
    ----------
    features
        Name to feature type, in the order the model sees them. The time column may be one, of type date.
    target
        The column to predict.
    time
        Event time, UTC, where the data has it.
    key
        What names a row in the world outside, where something does.
    formats
        By column how its values are written as text, where no feature type reads them as they are.
    missing
        Words and numbers that stand for a missing value: of all columns, or by column.

    Raises
    ------
    ConfigError
        A feature or the target is called as a column of the prediction log is, or a feature as a
        part of a date is.

    Examples
    --------
    >>> import mlops
    >>> schema = mlops.Schema(
    ...     features={"size": "number", "picked": "date"}, target="ripe", task="binary", time="picked"
    ... )
    >>> list(schema.inputs)
    ['size', 'picked.month', 'picked.day', 'picked.day_of_year', 'picked.weekday', 'picked.hour']
    """

    features: Mapping[str, str]
    target: str
    task: str
    time: str | None = None
    key: str | None = None
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    missing: Sequence[str | float] | Mapping[str, Sequence[str | float]] = ()

    def __post_init__(self) -> None:
        named = {name for name in self.features if name != self.time} | {self.target}
        reserved = sorted(RESERVED & named)
        if reserved:
            raise ConfigError(
                "data",
                value=shown(reserved),
                allowed=f"columns with other names than {shown(sorted(RESERVED), 9)}",
            )
        parts = [part for name in self.features for part in self.parts(name) if part != name]
        clashing = [part for part in parts if part in self.features]
        if clashing:
            raise ConfigError(
                "data.features", value=clashing[0], allowed="a name that is no part of a date's"
            )
        # A frozen noun whose mapping could be edited would be frozen in name only.
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))
        object.__setattr__(self, "formats", MappingProxyType(dict(self.formats)))
        missing: Any = tuple(self.missing)
        if isinstance(self.missing, Mapping):
            missing = MappingProxyType({name: tuple(words) for name, words in self.missing.items()})
        object.__setattr__(self, "missing", missing)

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled; the values it was made from can.
        missing = dict(self.missing) if isinstance(self.missing, Mapping) else self.missing
        roles = (self.target, self.task, self.time, self.key)
        return type(self), (dict(self.features), *roles, dict(self.formats), missing)

    def _repr_html_(self) -> str:
        from html import escape

        roles = [(self.target, f"target, {self.task}"), (self.time, "time"), (self.key, "key")]
        rows = "".join(
            f"<tr><td>{escape(str(cell))}</td><td>{escape(str(use))}</td></tr>"
            for cell, use in [*self.features.items(), *((name, role) for name, role in roles if name)]
        )
        head = "<tr><th>column</th><th>type or role</th></tr>"
        return f'<table style="text-align: left">{head}{rows}</table>'

    @property
    def named(self) -> list[str]:
        """The columns of a table that it names, each once."""
        roles = (self.target, self.time, self.key)
        return list(dict.fromkeys([*self.features, *(name for name in roles if name)]))

    def missing_words(self, column: str) -> tuple[str | float, ...]:
        """Return the words and numbers that stand for a missing value in a column."""
        if isinstance(self.missing, Mapping):
            return tuple(self.missing.get(column, ()))
        return tuple(self.missing)

    @cached_property
    def task_type(self) -> Task:
        """The task itself, which `task` names."""
        return task_types.find(self.task)

    @cached_property
    def types(self) -> Mapping[str, FeatureType]:
        """The features' types, in order."""
        return MappingProxyType({name: feature_types.find(type) for name, type in self.features.items()})

    @cached_property
    def input_types(self) -> Mapping[str, FeatureType]:
        """What the model sees, in order: the features, with each date split into numbers."""
        return MappingProxyType(
            {
                part: NUMBER if type.parts else type
                for name, type in self.types.items()
                for part in self.parts(name)
            }
        )

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """The names of `input_types`."""
        return MappingProxyType({name: type.name for name, type in self.input_types.items()})

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The inputs that reach a model as numbers, in order."""
        return tuple(name for name, type in self.input_types.items() if not type.is_text)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The inputs that reach a model as text, in order."""
        return tuple(name for name, type in self.input_types.items() if type.is_text)

    @cached_property
    def readers(self) -> tuple[Sequence[tuple[str, Reader]], Sequence[tuple[str, Reader]]]:
        """How the features of a record are read: those that reach a model as numbers, and as text."""
        every = [(name, type.is_text, self._reader(name)) for name, type in self.types.items()]
        numbers = [(name, read) for name, is_text, read in every if not is_text]
        return numbers, [(name, read) for name, is_text, read in every if is_text]

    def _reader(self, feature: str) -> Reader:
        read, plain = self.types[feature].read_json, self.canonical.get(feature)
        return read if plain is None else lambda value: read(plain(value))

    @cached_property
    def canonical(self) -> Mapping[str, Callable[[Any], Any]]:
        """Of features with a text format or missing values: what a request's value is read as.

        A word is missing where the feature is text; a number is one by its JSON type, and missing by that.
        """
        every = {name: self._canonical(name) for name in self.features}
        return MappingProxyType({name: read for name, read in every.items() if read is not None})

    def _canonical(self, feature: str) -> Callable[[Any], Any] | None:
        missing = MissingValues(self.missing_words(feature))
        format, is_text = self.formats.get(feature), self.types[feature].is_text
        read_text = format.read_value if format is not None and format.is_text else None
        if not missing and read_text is None:
            return None

        def plain(value: Any) -> Any:
            if isinstance(value, str) and not is_text:
                return value
            if missing.hold(value):
                return None
            return read_text(value) if read_text is not None and isinstance(value, str) else value

        return plain

    @cached_property
    def has_parts(self) -> bool:
        """Whether a feature is split into several inputs."""
        return any(type.parts for type in self.types.values())

    def parts(self, feature: str) -> tuple[str, ...]:
        """Return the inputs that a feature becomes.

        A date becomes the days since 1970, ``<name>``, and ``<name>.month`` (1 to 12),
        ``<name>.day`` (1 to 31), ``<name>.day_of_year`` (1 to 366), ``<name>.weekday`` (0 is Monday)
        and ``<name>.hour`` (0 up to 24), all in UTC. Of the event
        time the first is left out: all that will be predicted is newer than all that was trained on.
        """
        parts = tuple(f"{feature}.{part}" for part in self.types[feature].parts)
        return parts if parts and feature == self.time else (feature, *parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as a JSON value; `from_dict` reads it back."""
        return {
            "features": [[name, kind] for name, kind in self.features.items()],
            "target": self.target,
            "task": self.task,
            "time": self.time,
            "key": self.key,
            "formats": {name: format.to_params() for name, format in self.formats.items()},
            "missing": {name: list(words) for name, words in self.missing.items()}
            if isinstance(self.missing, Mapping)
            else list(self.missing),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Schema:
        """Read what `to_dict` wrote."""
        formats = {name: column_formats.of_params(each) for name, each in value["formats"].items()}
        return cls(**{**value, "features": dict(value["features"]), "formats": formats})

    @classmethod
    def from_params(cls, params: Params) -> Schema:
        """Take the columns from the `data` section and the task from `model`."""
        data = params.data
        roles = (data.target, params.model.task, data.time, data.key)
        return cls(data.features, *roles, data.formats, data.missing)
