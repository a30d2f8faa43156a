"""A row that sums up the others, as a spreadsheet has it below them: it is no example of anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TotalRows"]

_WORD = re.compile(
    r"\s*((grand|sub|overall|column)[ -]?)?(totals?|sum|sums|summe|gesamt|gesamtsumme|insgesamt|somme|suma"
    r"|totale|totaal|razem|итого|合计|合計)\s*:?\s*",
    re.IGNORECASE,
)
_FEW = 3
"""A word that more rows bear is a category."""
_LEAST_ROWS = 3
_PRECISION = 1e-6


@dataclass(frozen=True)
class _Worded:
    row: int
    column: str
    word: str


class TotalRows:
    """Looks for rows that sum up others in a table that comes in pieces."""

    def __init__(self) -> None:
        self._rows = 0
        self._worded: dict[tuple[str, str], list[_Worded]] = {}
        self._sums: dict[str, float] = {}
        self._largest: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def take(self, frame: pd.DataFrame) -> None:
        """Look at some rows."""
        import pandas as pd

        for name, column in frame.items():
            if pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != bool:
                self._add(str(name), column.to_numpy("float64"))
            elif column.dtype == object or isinstance(column.dtype, pd.StringDtype | pd.CategoricalDtype):
                self._look(str(name), column)
        self._rows += len(frame)

    def notes(self, name: str) -> list[str]:
        """Return a sentence for each row that looks like a total."""
        found: dict[int, str] = {}
        for rows in self._worded.values():
            if len(rows) <= _FEW:
                for row in rows:
                    found.setdefault(row.row, f"its {row.column} says {row.word!r}")
        summed = self._summed()
        if summed:
            found.setdefault(self._rows, f"its {' and '.join(summed[:2])} are the sums of the rows above")
        advice = "If it is one, take it out of the table"
        return [
            f"row {row:,} of {name} looks like a total of other rows: {why}. {advice}"
            for row, why in sorted(found.items())
        ]

    def _look(self, name: str, column: pd.Series[Any]) -> None:
        for value in column.dropna().unique():
            if isinstance(value, str) and len(value) < 40 and _WORD.fullmatch(value):
                places = np.flatnonzero((column == value).to_numpy(bool))[: _FEW + 1]
                word = value.strip()
                self._worded.setdefault((name, word.lower()), []).extend(
                    _Worded(self._rows + int(place) + 1, name, word) for place in places
                )

    def _add(self, name: str, numbers: NDArray[np.float64]) -> None:
        if not len(numbers):
            return
        if name in self._last:
            self._count(name, np.array([self._last[name]]))
        self._count(name, numbers[:-1])
        self._last[name] = float(numbers[-1])

    def _count(self, name: str, numbers: NDArray[np.float64]) -> None:
        known = numbers[np.isfinite(numbers)]
        if len(known):
            self._sums[name] = self._sums.get(name, 0.0) + float(known.sum())
            self._largest[name] = max(self._largest.get(name, 0.0), float(np.abs(known).max()))

    def _summed(self) -> list[str]:
        """Return the columns whose last number is the sum of those above, where most columns agree."""
        if self._rows <= _LEAST_ROWS:
            return []
        summed, other = [], 0
        for name, last in self._last.items():
            total, largest = self._sums.get(name, 0.0), self._largest.get(name, 0.0)
            if not np.isfinite(last) or not largest:
                continue
            is_sum = abs(last - total) <= _PRECISION * max(1.0, abs(total)) and abs(last) > largest
            summed += [name] if is_sum else []
            other += not is_sum
        # A number may be the sum of the others by chance; most of a row's are not.
        return summed if len(summed) > other or len(summed) >= 2 else []
