"""Numbers as people write them: separators, signs, currencies, units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_format import ColumnFormat
from mlops.column_formats.column_text import ColumnText, Finding
from mlops.column_formats.number_detection import find
from mlops.column_formats.number_spelling import CONVENTIONS, Spelling
from mlops.column_formats.number_units import PERCENT
from mlops.errors import shown

if TYPE_CHECKING:
    import pandas as pd

    from mlops.feature_types import FeatureType

__all__ = ["NumberFormat"]

_NEGATIVE = {"-": "", "()": "parentheses for what is below zero", "1-": "the minus sign behind"}
_SEPARATORS = """thousands: ",", ".", " " or "'", and as decimal the other of "." and "," where it is one"""
_NAMES = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}


@dataclass(frozen=True)
class NumberFormat(ColumnFormat):
    """How the numbers of a column are written.

    Parameters
    ----------
    thousands
        What separates groups of three digits: ``,``, ``.``, a space of whatever width, ``'``, or nothing.
    decimal
        The decimal separator: ``.`` or ``,``.
    unit
        What stands before or behind each number: a currency, a unit, ``%``. 45 % is 45.
    negative
        How a negative number is written beside ``-3``: ``()`` for (3), ``1-`` for 3-.
    """

    name: ClassVar[str] = "number"

    thousands: str = ""
    decimal: str = "."
    unit: str = ""
    negative: str = "-"

    def __post_init__(self) -> None:
        if (self.thousands, self.decimal) not in CONVENTIONS:
            raise ValueError(_SEPARATORS)
        if not isinstance(self.unit, str) or any(sign.isdigit() for sign in self.unit):
            raise ValueError("unit: text without digits, as $, EUR, % or km")
        if self.negative not in _NEGATIVE:
            raise ValueError('negative: "-", "()" or "1-"')

    def suits(self, type: FeatureType | None) -> bool:
        """Return whether a type's values are numbers."""
        return type is None or not (type.is_text or type.is_moment)

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return numbers; what is none in this format stays text."""
        import pandas as pd

        read = {text: self.number(text) for text in column.dropna().unique()}
        wrong = [text for text, number in read.items() if number is None]
        if not wrong:
            return column.map(read).astype("float64")
        values = column.map({text: text if number is None else number for text, number in read.items()})
        return pd.Series(values, index=column.index, dtype=object)

    def number(self, text: str) -> float | None:
        """Return the number that a text is in this format, None where it is none.

        A value may lack the unit, but for the percent sign: 0.45 beside 45% is another number.
        """
        spelling = Spelling.of(text)
        if spelling is None or not spelling.fits(self.thousands, self.decimal):
            return None
        number = spelling.value(self.thousands, self.decimal)
        if spelling.unit != self.unit and (spelling.unit or (self.unit == PERCENT and number)):
            return None
        if spelling.negative not in ("", "-", self.negative):
            return None
        return -number if spelling.negative else number

    def to_params(self) -> Any:
        """Return the format as `data.formats` and schema.json spell it."""
        return super().to_params() or {"decimal": self.decimal}

    def widens(self, other: NumberFormat) -> bool:
        """Return whether it reads all that another one does, to the same numbers, and more."""
        return (
            self.decimal == other.decimal
            and self.unit == other.unit
            and other.thousands in ("", self.thousands)
            and other.negative in ("-", self.negative)
        )

    @property
    def changes_plain(self) -> bool:
        """Whether it reads a number that is written plainly to another one: 1.706 to 1706."""
        return self.decimal == ","

    @classmethod
    def detect(cls, column: ColumnText, file: Mapping[str, ColumnText]) -> Finding | None:
        """Return how a column's numbers are written, see `number_detection.find`."""
        found = find(column, file)
        if found is None:
            return None
        name, example = column.name, found.example
        if found.doubt:
            options = [", ".join(f'{key}: "{value}"' for key, value in way.items()) for way in found.ways]
            either = " or ".join(f"{{{option}}}" for option in options)
            remedy = (
                f"Write data.formats: {{{name}: {either}}}."
                if options
                else "Write all of its values in one way."
            )
            sentence = f"{name} looks like numbers, as {example}, but {found.doubt}."
            likely = cls(**found.ways[0]) if len(found.ways) == 1 and not found.is_open else None
            return Finding(name, None, sentence, remedy, example, found.is_open, likely)
        format = cls(found.thousands, found.decimal, found.unit, found.negative)
        sentence = f"{name} holds {format.words}: {example} is read as {format.number(example):.15g}."
        return Finding(name, format, sentence, example=example)

    @property
    def words(self) -> str:
        """What a column in this format holds, for a person."""
        parts = [f"{_NAMES[self.thousands]} between thousands"] if self.thousands else []
        parts += ["decimal commas"] if self.decimal == "," else []
        parts += [f"the unit {self.unit}"] if self.unit and self.unit != PERCENT else []
        parts += ["percent signs"] if self.unit == PERCENT else []
        parts += [_NEGATIVE[self.negative]] if _NEGATIVE[self.negative] else []
        return f"numbers with {shown(parts)}" if parts else "numbers as text"
