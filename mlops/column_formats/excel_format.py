"""Days as spreadsheets count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_text import Finding
from mlops.column_formats.date_names import is_date_name
from mlops.column_formats.moment_format import CountedFormat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExcelFormat"]

_SINCE_1970 = {1900: 25_569, 1904: 24_107}
"""The number that 1970-01-01 has, by the year that the count begins with."""
_NO_DAY = 60
"""29 February 1900, which was none, but is counted; before it, each number is that of a day later."""
_LAST = 2_958_466
"""The day after 9999-12-31."""
_EARLY, _LATE = 32_874, 54_789
"""1990 and 2050."""
_MOSTLY = 0.9


@dataclass(frozen=True)
class ExcelFormat(CountedFormat):
    """Days of a spreadsheet as the numbers it keeps them by, with a fraction for the time of day; UTC.

    Parameters
    ----------
    excel
        The year that the count begins with: 1900, or 1904 of old files of a Mac.
    """

    name: ClassVar[str] = "excel"

    excel: int = 0

    def __post_init__(self) -> None:
        if self.excel not in _SINCE_1970:
            raise ValueError("excel: 1900 or 1904")

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return times in UTC; what is none stays as it is."""
        import numpy as np
        import pandas as pd

        serial = pd.to_numeric(column, errors="coerce").to_numpy("float64", na_value=np.nan)
        real = (serial >= (1 if self.excel == 1900 else 0)) & (serial < _LAST)
        days = serial - _SINCE_1970[self.excel]
        if self.excel == 1900:
            real &= np.floor(serial) != _NO_DAY
            days += serial < _NO_DAY
        # To the second: a fraction of a day has no more than that.
        return self._times(column, real, np.round(days[real] * 86_400).astype("int64") * 10**6)

    @classmethod
    def detect_numbers(cls, name: str, numbers: pd.Series[Any]) -> Finding | None:
        """Return that a column named as a date holds the days of a spreadsheet; None where it does not."""
        if not is_date_name(name):
            return None
        inside = numbers.between(_EARLY, _LATE)
        if inside.all() and numbers.nunique() > 1:
            format = cls(1900)
            first, last = format.days_of(numbers)
            example = f"{numbers.iloc[0]:.15g}"
            sentence = f"{name} holds days as Excel counts them, as {example}: {first} to {last}."
            return Finding(name, format, sentence)
        if inside.mean() < _MOSTLY:
            return None
        odd = f"{numbers[~inside].iloc[0]:.15g}" if not inside.all() else ""
        sentence = f"{name} holds numbers that may be days as Excel counts them" + (
            f", but also {odd}" if odd else ""
        )
        remedy = f"If they are, write data.formats: {{{name}: {{excel: 1900}}}}."
        return Finding(name, None, f"{sentence}.", remedy)
