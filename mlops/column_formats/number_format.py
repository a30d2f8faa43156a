"""Numbers as people write them: separators, signs, currencies, units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_format import ColumnFormat

if TYPE_CHECKING:
    import pandas as pd

    from mlops.feature_types import FeatureType

__all__ = ["NumberFormat"]

_SPACES = "[ \u00a0\u202f\u2009\u2007]"
_THOUSANDS = {"": "", ",": ",", ".": r"\.", " ": _SPACES, "'": "['’]"}
"""What may separate thousands, and what else stands for it in a table: a space of whatever width."""
_DECIMALS = {".": r"\.", ",": ","}
_NEGATIVE = ("-", "()", "1-")
PERCENT = "%"


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
        if self.thousands not in _THOUSANDS:
            raise ValueError("""thousands: ",", ".", " ", "'" or nothing""")
        if self.decimal not in _DECIMALS or self.decimal == self.thousands:
            raise ValueError('decimal: "." or ",", and not what separates thousands')
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
        """Return the number that a text is in this format, None where it is none."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        digits = (
            re.sub(_THOUSANDS[self.thousands], "", match["digits"]) if self.thousands else match["digits"]
        )
        number = float(digits.replace(self.decimal, "."))
        return -number if match["minus"] or match["opened"] or match["behind"] else number

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        groups = rf"\d{{1,3}}(?:{_THOUSANDS[self.thousands]}\d{{3}})+|" if self.thousands else ""
        digits = rf"(?P<digits>(?:{groups}\d+)(?:{_DECIMALS[self.decimal]}\d*)?)"
        unit = rf"(?:{re.escape(self.unit)})?{_SPACES}*" if self.unit else ""
        sign = r"(?:(?P<minus>[-\u2212])|\+)?"
        before, behind = (rf"{unit}{sign}{_SPACES}*{unit}", rf"{_SPACES}*{unit}")
        opened, closed = (
            (r"(?P<opened>\()?", r"(?(opened)\))") if self.negative == "()" else ("(?P<opened>(?!))?", "")
        )
        trailing = "(?P<behind>-)?" if self.negative == "1-" else "(?P<behind>(?!))?"
        return re.compile(rf"\s*{opened}{before}{digits}{behind}{trailing}{closed}\s*", re.ASCII)
