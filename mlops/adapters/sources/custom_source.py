"""A class of the project as a source of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.config.source_params import CustomSourceParams
from mlops.data.source import Fetched, Source, SourceContext
from mlops.errors import ConfigError, DataError, MlopsError
from mlops.files import user_module

__all__ = ["CustomSource"]


@dataclass(frozen=True)
class CustomSource:
    """The rows of an object of the project's class; whatever it raises becomes an error of the source."""

    name: str
    inner: Source

    @classmethod
    def from_params(cls, params: CustomSourceParams, context: SourceContext) -> CustomSource:
        """Make the object, with the section's other keys.

        Raises
        ------
        ConfigError
            There is no such class, or it does not take these keys.
        """
        made = user_module.load_name(params.class_, context.root, key="data.source.class")
        keys = params.model_extra or {}
        try:
            return cls(params.class_, made(context, **keys))
        except MlopsError:
            raise
        except (TypeError, ValueError) as exc:
            passed = ", ".join(keys) or "no keys"
            raise ConfigError(
                "data.source", value=passed, allowed=f"what {params.class_} takes: {exc}"
            ) from exc

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Give what the object gives."""
        try:
            yield from self.inner.fetch(since, folder)
        except MlopsError:
            raise
        except Exception as exc:  # the project's own code: whatever it raises
            raise DataError(
                f"{self.name} failed: {type(exc).__name__}: {exc}.", remedy="Correct the class."
            ) from exc
