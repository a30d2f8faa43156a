"""Days and moments as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mlops.column_formats.column_text import ColumnText, Finding
from mlops.column_formats.date_detection import DatePatterns, dates_in, read_by
from mlops.column_formats.date_names import is_time_name
from mlops.column_formats.date_pattern import DatePattern
from mlops.column_formats.moment_format import MomentFormat
from mlops.feature_types.cells import spelled
from mlops.feature_types.spellings import beside_text, code_of
from mlops.moments import to_times

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DateFormat"]

_AT_LEAST_HALF = 0.5
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_PLAIN = re.compile(r"\d{4}[-/]\d\d[-/]\d\d([T ].*)?", re.DOTALL)
"""How text that is a moment without any format begins."""
_ISO = "2013-07-04 or 2013-07-04T15:00:00Z"


@dataclass(frozen=True)
class DateFormat(MomentFormat):
    """How the days and moments of a column are written.

    Parameters
    ----------
    patterns
        In the words of `strptime`: ``%d-%b-%Y``. A value is read by the first that fits.
    """

    name: ClassVar[str] = "date"

    patterns: tuple[str, ...] = ("%Y-%m-%d",)

    def __post_init__(self) -> None:
        if not self.patterns or any(not isinstance(each, str) or "%" not in each for each in self.patterns):
            raise ValueError("a pattern such as %d-%b-%Y, or a list of them")
        for pattern in self.patterns:
            DatePattern(pattern)

    @property
    def reads_numbers(self) -> bool:
        """Whether whole numbers are digits of a date, as 20130704."""
        return all(pattern.replace("%", "").isalpha() for pattern in self.patterns)

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return times in UTC; what is none in this format stays text."""
        import pandas as pd
        import pyarrow as pa

        words = column.astype(object)
        if self.reads_numbers:
            words = words.map({value: code_of(spelled(value)) for value in words.dropna().unique()})
        text = pa.array([value if isinstance(value, str) else None for value in words], pa.string())
        times = pd.Series(read_by(self.patterns, text)[0], index=column.index)
        return beside_text(times.dt.tz_localize("UTC"), column)

    @classmethod
    def detect(cls, column: ColumnText, file: Mapping[str, ColumnText]) -> Finding | None:
        """Return by which patterns a column's dates are written; None where as ISO 8601 has them."""
        del file
        values = list(column.values)
        plain = _plain_share(values) if values and not column.numbers else 1.0
        finding = cls._finding(column.name, values) if plain < 1 else None
        # Of dates that a feature type reads, a few others are those of their rows.
        return finding if finding and (finding.format or plain < _AT_LEAST_HALF) else None

    @classmethod
    def detect_numbers(cls, name: str, numbers: pd.Series[Any]) -> Finding | None:
        """Return that whole numbers are the digits of dates, as 20130704; None where they are not."""
        least, greatest = numbers.min(), numbers.max()
        for digits in (8, 12, 14):
            shift = 10 ** (digits - 4)
            if _FIRST_YEAR * shift <= least <= greatest < _LAST_YEAR * shift and (numbers % 1 == 0).all():
                finding = cls._finding(name, [spelled(number) for number in numbers.unique()])
                return finding if finding and finding.format else None
        return None

    @classmethod
    def _finding(cls, name: str, values: list[str]) -> Finding | None:
        import pyarrow as pa

        dates = dates_in(pa.array(values, pa.string()), is_named_date=is_time_name(name))
        if dates is None:
            return None
        if isinstance(dates, DatePatterns):
            format = cls(dates.patterns)
            why = f": {dates.why}" if dates.why else ""
            sentence = (
                f"{name} holds dates as {dates.example!r}, read by {' and '.join(dates.patterns)}{why}."
            )
            return Finding(name, format, sentence)
        if dates.is_odd:
            remedy = (
                f"Correct it, or name it if it is missing: data.missing: {{{name}: [{dates.example!r}]}}."
            )
            if dates.patterns:
                remedy += f" {_wanted(name, dates.patterns)} to have it kept apart."
            return Finding(name, None, f"{name} holds {dates.what}, but also {dates.example!r}.", remedy)
        if not dates.patterns:
            remedy = f"Write them as {_ISO} to have dates."
        else:
            remedy = f"{_wanted(name, dates.patterns)} to have dates."
        return Finding(name, None, f"{name} holds {dates.what}, as {dates.example!r}.", remedy)

    @classmethod
    def of_params(cls, value: Any) -> Self | None:
        """Return the format that a pattern, or a list of them, means."""
        if isinstance(value, str):
            return cls((value,))
        return cls(tuple(value)) if isinstance(value, list | tuple) else None

    def to_params(self) -> Any:
        """Return the pattern, or the list of them."""
        return self.patterns[0] if len(self.patterns) == 1 else list(self.patterns)


def _wanted(name: str, patterns: tuple[str, ...]) -> str:
    either = " or ".join(f'"{pattern}"' for pattern in patterns)
    return f"Write data.formats: {{{name}: {either}}}"


def _plain_share(values: list[str]) -> float:
    """Return the share of the values that a feature type reads as they are."""
    plain = [value for value in values if _PLAIN.fullmatch(value)]
    return int(to_times(plain).notna().sum()) / len(values) if plain else 0.0
