"""A register: the closed list of one kind of thing, which a project's own code may add to.

A leaf that the serving image carries: standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from mlops.errors import ConfigError

__all__ = ["Named", "Register"]


class Named(Protocol):
    """What a register lists."""

    @property
    def name(self) -> str:
        """The word that params.yaml and stored files know it by."""
        ...


T = TypeVar("T", bound=Named)


class Register(Generic[T]):
    """Things of one kind by their name, in the order they were added.

    Parameters
    ----------
    noun
        What it lists, for messages.
    built_in
        What this library brings. Nothing may take the name of one: a bundle that names it means ours.
    """

    def __init__(self, noun: str, *built_in: T) -> None:
        self._noun = noun
        self._things: dict[str, T] = {thing.name: thing for thing in built_in}
        self.built_in = frozenset(self._things)

    def register(self, thing: T) -> T:
        """Add a thing, in place of an earlier one of its name: a module that is edited is run again.

        Raises
        ------
        ConfigError
            The name is one of the library's own.
        """
        if thing.name in self.built_in:
            raise ConfigError(
                self._noun,
                value=thing.name,
                allowed=f"a name other than {', '.join(sorted(self.built_in))}",
                file="the project's module",
            )
        self._things[thing.name] = thing
        return thing

    def find(self, name: str) -> T:
        """Return the thing of this name.

        Raises
        ------
        ConfigError
            Nothing of this name is registered. Register it in the module that model.builder names.
        """
        try:
            return self._things[name]
        except KeyError:
            raise ConfigError(
                self._noun,
                value=name,
                allowed=f"{', '.join(self._things)}, or what the module of model.builder registers",
            ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """What is registered, by name."""
        return tuple(self._things)

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._things.values()))
