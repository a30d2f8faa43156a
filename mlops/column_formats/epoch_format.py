"""Moments counted since 1970: in seconds, or in thousandths of them and less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_text import Finding
from mlops.column_formats.date_names import is_time_name
from mlops.column_formats.moment_format import CountedFormat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EpochFormat"]

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many there are in a second."""
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_FIRST, _LAST = 631_152_000, 2_556_144_000
"""1990 and 2051: before and after, a number of so many digits is rather something else."""
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999, which are all that a moment may be of."""


@dataclass(frozen=True)
class EpochFormat(CountedFormat):
    """Moments as numbers since 1970, UTC.

    Parameters
    ----------
    epoch
        The unit: ``s``, ``ms``, ``us`` or ``ns``.
    """

    name: ClassVar[str] = "epoch"

    epoch: str = ""

    def __post_init__(self) -> None:
        if self.epoch not in _UNITS:
            raise ValueError("epoch: s, ms, us or ns")

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return times in UTC; what is none stays as it is."""
        import numpy as np
        import pandas as pd

        numbers = pd.to_numeric(column, errors="coerce")
        values = numbers.astype("float64") if numbers.dtype == object else numbers
        per_second = _UNITS[self.epoch]
        # Whole numbers stay whole: of nanoseconds a float loses the last hundreds.
        micros = values // (per_second // 10**6) if per_second > 10**6 else values * (10**6 // per_second)
        real = ((micros >= _FIRST_MOMENT * 10**6) & (micros < _LAST_MOMENT * 10**6)).to_numpy(
            bool, na_value=False
        )
        return self._times(column, real, np.round(micros[real]).astype("int64"))

    @classmethod
    def detect_numbers(cls, name: str, numbers: pd.Series[Any]) -> Finding | None:
        """Return the unit in which a column of numbers counts the time; None where it counts none."""
        least, greatest = float(numbers.min()), float(numbers.max())
        for unit, per_second in _UNITS.items():
            if not (_FIRST * per_second <= least < greatest < _LAST * per_second):
                continue
            if not (is_time_name(name) or (numbers % 1 == 0).all()):
                return None
            format = cls(unit)
            first, last = format.days_of(numbers)
            what = f"{_WORDS[unit]} since 1970, of {first} to {last}"
            if is_time_name(name):
                return Finding(name, format, f"{name} holds {what}: it is read as a date.")
            remedy = f"If they are, write data.formats: {{{name}: {{epoch: {unit}}}}}."
            return Finding(name, None, f"{name} holds numbers that may be {what}.", remedy)
        return None
