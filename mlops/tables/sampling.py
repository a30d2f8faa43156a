"""A sample of a table of any size: rows from all of it, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.column_formats import ColumnText
from mlops.moments import to_times
from mlops.tables.duplicates import Repeats
from mlops.tables.text_values import TextValues

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOMENT", "Sample", "spaced", "take"]

MOMENT = r"\d{4}[-/]\d\d[-/]\d\d([T ].*)?"
"""How text that may be a moment is written: the year first."""
_MOSTLY = 0.5
_VALUES = 100
"""A column of more values than that has no labels, and no categories that could be listed."""


@dataclass(frozen=True)
class Sample:
    """Some rows of a table, and statistics of all of them.

    Parameters
    ----------
    frame
        Evenly spaced rows, and those that hold what the spaced ones lack: a column's least and
        greatest number, a value of few rows where a column has few values. In the table's order.
    rows
        How many the table has.
    ranges
        By column that holds moments: the least and the greatest, in UTC.
    repeated
        Those of the watched columns that have a repeated value.
    texts
        By column that holds text: what its values are written as, of all rows.
    """

    frame: pd.DataFrame
    rows: int
    ranges: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()
    texts: Mapping[str, ColumnText] = field(default_factory=dict)


def take(
    chunks: Iterable[pd.DataFrame],
    *,
    most: int,
    watched: Callable[[str], bool] = lambda _: False,
    separator: str | None = ",",
) -> Sample:
    """Sample every k-th row of a table that comes in pieces, k a power of two, and rows of rare values.

    Parameters
    ----------
    most
        Spaced rows in the sample at most; twice as many are in memory on the way.
    watched
        Selects the columns to check for repeated values.
    separator
        Of the CSV that the pieces come from; None where they have types.
    """
    import pandas as pd

    parts: list[pd.DataFrame] = []
    stride, rows, size = 1, 0, 0
    ranges: dict[str, tuple[Any, Any]] = {}
    repeats: dict[str, Repeats] = {}
    repeated: set[str] = set()
    rare_rows, texts = _RareRows(), TextValues(separator)
    for chunk in chunks:
        chunk = chunk.set_axis(range(rows, rows + len(chunk)))
        for name in _moments(chunk):
            _widen(ranges, name, chunk[name].dropna())
        for name in filter(watched, set(map(str, chunk)) - repeated):
            if repeats.setdefault(name, Repeats()).mark(chunk[name]).any():
                repeated.add(name)
        columns = {str(name): column for name, column in chunk.items()}
        numbers = {name: known for name, column in columns.items() if (known := _numbers(column)) is not None}
        rare_rows.take(chunk, numbers)
        texts.take_columns(columns, numbers)
        part = chunk.iloc[-rows % stride :: stride]
        parts.append(part)
        rows, size = rows + len(chunk), size + len(part)
        while size > most:
            stride *= 2
            parts = [pd.concat(parts).iloc[::2]]
            size = len(parts[0])
    frame = pd.concat(parts) if parts else pd.DataFrame()
    if stride > 1:
        frame = pd.concat([frame, rare_rows.beside(frame)]).sort_index()
    return Sample(frame.reset_index(drop=True), rows, ranges, frozenset(repeated), texts.columns())


def spaced(rows: int, *, most: int) -> NDArray[np.intp]:
    """Return the positions of at most so many rows, evenly spaced: every stretch of time is there."""
    return np.linspace(0, rows - 1, min(most, rows)).astype(np.intp)


class _RareRows:
    """The rows that first held a value, of columns of few values, or a number beyond those before."""

    def __init__(self) -> None:
        self._values: dict[str, set[Any]] = {}
        self._ends: dict[str, tuple[float, float]] = {}
        self._rows: list[pd.DataFrame] = []

    def take(self, chunk: pd.DataFrame, numbers: Mapping[str, NDArray[np.float64]]) -> None:
        rows: set[int] = set()
        for name in map(str, chunk):
            rows.update(self._new(name, chunk[name]))
            if name in numbers:
                rows.update(self._beyond(name, numbers[name]))
        self._rows.append(chunk.iloc[sorted(rows)])

    def beside(self, spaced: pd.DataFrame) -> pd.DataFrame:
        """Return those of the rows that hold what the spaced ones lack."""
        import pandas as pd

        rows = pd.concat(self._rows)
        rows = rows[~rows.index.isin(spaced.index)]
        wanted = np.zeros(len(rows), dtype=bool)
        for name in map(str, rows):
            if known := self._values[name]:
                spaced_values = set(spaced[name][spaced[name].isin(list(known))].unique())
                wanted |= rows[name].isin(list(known - spaced_values)).to_numpy()
            if name in self._ends:
                ours, theirs = _numbers(rows[name]), _numbers(spaced[name])
                if ours is None or theirs is None:
                    continue
                wanted |= ours < np.fmin.reduce(theirs, initial=np.inf)
                wanted |= ours > np.fmax.reduce(theirs, initial=-np.inf)
        return rows[wanted]

    def _new(self, name: str, column: pd.Series[Any]) -> list[int]:
        """The positions of values that were not there before, while they are few."""
        known = self._values.setdefault(name, set())
        if len(known) > _VALUES:
            return []
        try:
            first = np.flatnonzero(~column.duplicated() & column.notna())[: 2 * _VALUES + 1]
            fresh = {value: int(place) for place, value in zip(first, column.iloc[first], strict=True)}
        except TypeError:  # nested values
            return []
        places = [place for value, place in fresh.items() if value not in known]
        known.update(fresh)
        return places[: _VALUES + 1]

    def _beyond(self, name: str, numbers: NDArray[np.float64]) -> list[int]:
        """The positions of the least and the greatest number, where they are beyond those before."""
        if np.isnan(numbers).all():
            return []
        ends = [int(np.nanargmin(numbers)), int(np.nanargmax(numbers))]
        low, high = self._ends.get(name, (np.inf, -np.inf))
        self._ends[name] = (min(low, numbers[ends[0]]), max(high, numbers[ends[1]]))
        return [place for place in ends if not low <= numbers[place] <= high]


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """A column's finite numbers, also of text, NaN where a value is none; None where most are none."""
    import pandas as pd
    from pandas.api import types

    if types.is_bool_dtype(column) or column.dtype.kind in "mM":
        return None
    try:
        if pd.to_numeric(column.dropna().head(100), errors="coerce").isna().mean() > _MOSTLY:
            return None
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    except TypeError:  # nested values, or days
        return None
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _moments(chunk: pd.DataFrame) -> list[str]:
    """The columns that hold moments: typed as such, or as text that begins like an ISO date."""
    from pandas.api import types

    return [
        str(name) for name in chunk if types.is_datetime64_any_dtype(chunk[name]) or _written(chunk[name])
    ]


def _written(column: pd.Series[Any]) -> bool:
    known = column.dropna().head(100)
    return bool(len(known)) and all(isinstance(value, str) and re.fullmatch(MOMENT, value) for value in known)


def _widen(ranges: dict[str, tuple[Any, Any]], name: str, values: pd.Series[Any]) -> None:
    """Widen the range of a column by values; what is not a moment is skipped."""
    if values.dtype == object:
        values = values[values.map(lambda value: isinstance(value, str)).astype(bool)]
    if not len(values):
        return
    # As text the ends are found sooner; all of it is read only where an end is none, as "unknown".
    read = to_times([values.min(), values.max()])
    if read.isna().any():
        read = to_times(values).dropna()
    ends = [*read, *ranges.get(name, ())]
    if ends:
        ranges[name] = (min(ends), max(ends))
