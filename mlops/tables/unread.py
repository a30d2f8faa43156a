"""The values of a column that neither its format nor its feature type reads: the evidence of all rows.

A word among numbers or dates says that the value is not known, and a date such as 0000-00-00 that it is none:
their rows are set aside. What else has digits is a value that is written otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops import feature_types
from mlops.column_formats import ColumnText
from mlops.feature_types import NUMBER
from mlops.moments import to_times
from mlops.schema import Schema
from mlops.tables.csv_reader import type_columns
from mlops.tables.reading import column_readings
from mlops.tables.sampling import MOMENT

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Unread", "unread"]


@dataclass(frozen=True)
class Unread:
    """Values of a column that cannot be read.

    Parameters
    ----------
    rows, of
        Rows with such a value, and all that hold text.
    example
        One of the values, of the most rows.
    allowed
        What a value must be.
    """

    column: str
    rows: int
    of: int
    example: str
    allowed: str

    def __str__(self) -> str:
        share = f"{self.rows:,} of {self.of:,} values"
        are = "is" if self.rows == 1 else "are"
        return f"{self.column}: {share}, as {self.example!r}, {are} not {self.allowed}."


def unread(text: ColumnText, schema: Schema) -> Unread | None:
    """Return which values of a column cannot be read; None where all can, or where it is one of text."""
    import pandas as pd

    reading = column_readings(schema, labelled=True).get(text.name)
    if reading is None or not text.values:
        return None
    type = feature_types.find(reading.kind) if reading.kind in feature_types.REGISTER else None
    if type is None or type.is_text:
        return None
    values = pd.Series(list(text.values), dtype=object, name=text.name)
    read = type_columns(values.to_frame(), {text.name: reading})[text.name]
    repeated = values.map(text.values).gt(1)  # a word that comes again means something
    wrong = _is_wrong(read, repeated, type.is_moment)
    if not wrong.any():
        return None
    rows = {value: text.values[value] for value in values[wrong.to_numpy()]}
    allowed = "a number" if type is NUMBER else type.value
    return Unread(text.name, sum(rows.values()), text.rows, max(rows, key=rows.__getitem__), allowed)


def _is_wrong(read: pd.Series[Any], repeated: pd.Series[bool], is_moment: bool) -> pd.Series[Any]:
    is_text = read.map(lambda value: isinstance(value, str)).astype(bool)
    is_text &= repeated | read.map(lambda value: _has_digits(str(value))).astype(bool)
    if is_moment:
        words = read.where(is_text).astype(object)
        return is_text & to_times(words).isna() & ~words.astype(str).str.fullmatch(MOMENT)
    return is_text


def _has_digits(text: str) -> bool:
    return any(sign.isdigit() for sign in text)
