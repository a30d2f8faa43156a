"""What a column of a file is read as: for what it is there, how it is written, what is missing in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.column_formats import ColumnFormat, MissingValues
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KEY", "LABEL", "TIME", "ColumnReading", "column_readings"]

KEY = "key"
LABEL = "label"
TIME = "time"
"""What a column that is no feature is read as, beside the feature types."""


@dataclass(frozen=True)
class ColumnReading:
    """How a column of text is read.

    Parameters
    ----------
    kind
        A feature type by its name, a key, a label or the event time.
    format
        How its values are written, None where plainly.
    missing
        Words and numbers that stand for a missing value.
    """

    kind: str
    format: ColumnFormat | None = None
    missing: tuple[str | float, ...] = ()

    def prepared(self, text: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text with its missing words as missing, and as its format has it where that is text."""
        text = self.without_missing(text)
        return self.format.read(text) if self.format is not None and self.format.is_text else text

    def without_missing(self, text: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text with its missing words as missing."""
        return MissingValues(self.missing).without(text) if self.missing else text

    @property
    def reads_values(self) -> bool:
        """Whether the format makes values of the text, and no feature type is asked."""
        return self.format is not None and not self.format.is_text


def column_readings(schema: Schema, *, labelled: bool) -> dict[str, ColumnReading]:
    """Return what the columns of text are read as, by name."""
    kinds = {schema.key: KEY} if schema.key else {}
    kinds |= {schema.time: TIME} if schema.time else {}
    of_target = schema.task_type.target_type
    target = of_target.name if of_target else LABEL
    kinds |= {**schema.features, **({schema.target: target} if labelled else {})}
    return {
        name: ColumnReading(kind, schema.formats.get(name), schema.missing_words(name))
        for name, kind in kinds.items()
    }
