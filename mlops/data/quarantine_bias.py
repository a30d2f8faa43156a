"""Whether the rows that a batch loses to quarantine are a random part of it, or a part that is missed.

Rows that are bad at random cost precision. Where all large sales or all rows of one label are among them,
what remains is another population, and a model of it is wrong without a sign of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.feature_types.cells import spelled
from mlops.ledger.records import BiasedQuarantine
from mlops.stats.overrepresented import Cell, overrepresented

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from mlops.schema import Schema

__all__ = ["BiasTest", "QuarantineBias"]

LEVEL = 0.01
"""The chance that a batch whose bad rows are a random part of it raises an alarm."""
_MIN_ROWS = 3
_MIN_LIFT = 2.0
"""What is lost more often, but by less than that, is no tail."""
_MOST = 3
"""Columns that are named."""
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Where numbers are cut into tails."""
_FEW_NUMBERS = 20
"""A column of so few different numbers is one of codes."""
_MOST_VALUES = 1000
_BLOCKS = 20
_BLOCK_ROWS = 5
_EXAMPLES = 100
_NUMBER = re.compile(r"[-+]?\d[\d.,'\u2019\s]*")


@dataclass(frozen=True)
class QuarantineBias:
    """What rows have in common that are quarantined more often than the others, and one of them."""

    rows: BiasedQuarantine
    example: str

    def __str__(self) -> str:
        return f"{self.rows.sentence}; as {self.example}"


@dataclass
class _Tally:
    """What was counted of the rows that share a value, or an interval of numbers."""

    rows: int = 0
    bad: int = 0
    example: str = ""

    def add(self, rows: int, bad: int, example: str) -> None:
        self.rows, self.bad, self.example = self.rows + rows, self.bad + bad, self.example or example


@dataclass
class _Column:
    """One column, piece by piece: its values, or the intervals that its first piece is cut into."""

    edges: NDArray[np.float64] | None = None
    is_moment: bool = False
    tallies: dict[Any, _Tally] = field(default_factory=dict)

    def take(self, codes: Sequence[Any], counts: Any, bad: Any, examples: Mapping[int, str]) -> None:
        for number, code in enumerate(codes):
            tally = self.tallies.setdefault(code, _Tally())
            tally.add(int(counts[number]), int(bad[number]), examples.get(number, ""))


class BiasTest:
    """Compares the bad rows of a batch with the others, column by column, as its pieces come."""

    def __init__(self, schema: Schema) -> None:
        self._skipped = {
            schema.key,
            *(n for n, t in schema.types.items() if t.is_text and not t.has_vocabulary),
        }
        self._columns: dict[str, _Column | None] = {}
        self._rows = 0
        self._places: list[NDArray[np.int64]] = []
        self._examples: list[tuple[int, str]] = []

    def take(
        self,
        frame: pd.DataFrame,
        values: pd.DataFrame,
        wrong: Sequence[tuple[str, NDArray[np.bool_], str]],
        reasons: NDArray[Any],
    ) -> None:
        """Count a piece.

        Parameters
        ----------
        frame, values
            The rows as they came, and as the lake has them: missing where they cannot be used.
        wrong
            Columns with the rows that break a rule of theirs.
        reasons
            What is wrong with each row; empty where nothing is.
        """
        bad = np.zeros(len(frame), bool)
        for _, mask, rule in wrong:
            if rule != "not unique":  # the first of them stays
                bad |= mask
        places = np.flatnonzero(bad)
        self._places.append(self._rows + places)
        chosen = places[np.linspace(0, len(places) - 1, min(len(places), _EXAMPLES)).astype(int)]
        self._examples += [(self._rows + int(place), str(reasons[place])) for place in chosen]
        self._rows += len(frame)
        for name in values:
            if name in self._skipped or self._columns.get(str(name), _Column()) is None:
                continue
            broken = [(mask, rule) for column, mask, rule in wrong if column == name]
            self._count(str(name), values[name], frame[name], broken, bad, reasons)

    def findings(self) -> tuple[QuarantineBias, ...]:
        """Return what the bad rows have in common, the least likely by chance first."""
        named = [*self._of_columns(), *self._of_places()]
        cells = [cell for _, _, cell, _ in named]
        biased: dict[str | None, QuarantineBias] = {}
        for number, _ in overrepresented(cells, level=LEVEL, min_chosen=_MIN_ROWS, min_lift=_MIN_LIFT):
            column, condition, cell, example = named[number]
            others = cell.all_rows - cell.rows, cell.all_chosen - cell.chosen
            rows = BiasedQuarantine(column, condition, cell.rows, cell.chosen, *others)
            biased.setdefault(column, QuarantineBias(rows, example))
        return tuple(biased.values())[:_MOST]

    def _count(
        self,
        name: str,
        known: pd.Series[Any],
        raw: pd.Series[Any],
        broken: Sequence[tuple[NDArray[np.bool_], str]],
        bad: NDArray[np.bool_],
        reasons: NDArray[Any],
    ) -> None:
        """Count the rows by their value in one column, but not those whose value breaks a rule by itself.

        A value that is no number, and yet has digits, is counted by its size.
        """
        import pandas as pd

        is_moment = isinstance(known.dtype, pd.DatetimeTZDtype)
        is_number = is_moment or pd.api.types.is_numeric_dtype(known.dtype)
        values = known
        if is_moment:
            values = (known.astype("datetime64[us, UTC]").astype("int64") / 1e6).where(known.notna())
        left_out = np.zeros(len(values), bool)
        for mask, rule in broken:
            sized = np.zeros(len(values), bool)
            if is_number and not is_moment and rule.startswith("not ") and mask.any():
                sizes = raw[mask].map(_size)
                values = values.astype("float64").where(~mask, sizes.reindex(values.index))
                sized[mask] = sizes.notna().to_numpy()
            left_out |= mask & ~sized
        values, bad, reasons = values[~left_out], bad[~left_out], reasons[~left_out]
        column = self._columns.setdefault(name, _started(values, is_number=is_number, is_moment=is_moment))
        assert column is not None
        coded = values
        if column.edges is not None:
            numbers = values.to_numpy("float64")
            coded = pd.Series(np.searchsorted(column.edges, numbers, "right"), dtype="float64")
            coded[np.isnan(numbers)] = np.nan
        codes, uniques = pd.factorize(coded, use_na_sentinel=False)
        if len(column.tallies) + len(uniques) > _MOST_VALUES and column.edges is None:
            self._columns[name] = None  # names, which have no rows in common
            return
        is_bad = np.flatnonzero(bad)
        first = {int(codes[place]): str(reasons[place]) for place in reversed(is_bad)}
        size = len(uniques)
        keys = [None if value is None or value != value or value == "" else value for value in uniques]
        column.take(
            keys, np.bincount(codes, minlength=size), np.bincount(codes[is_bad], minlength=size), first
        )

    def _of_columns(self) -> Iterator[tuple[str | None, str, Cell, str]]:
        for name, column in self._columns.items():
            if column is None or len(column.tallies) < 2:
                continue
            total = _summed(column.tallies.values())
            cells = [(f"rows without {name}", [column.tallies[None]])] if None in column.tallies else []
            if column.edges is None:
                cells += [
                    (f"rows with {name} {spelled(k)}", [t])
                    for k, t in column.tallies.items()
                    if k is not None
                ]
            else:
                cells += _tails(name, column, column.edges)
            for condition, tallies in cells:
                part = _summed(tallies)
                yield name, condition, Cell(part.rows, part.bad, total.rows, total.bad), part.example

    def _of_places(self) -> Iterator[tuple[str | None, str, Cell, str]]:
        count = min(_BLOCKS, self._rows // _BLOCK_ROWS)
        places = np.concatenate([*self._places, np.empty(0, np.int64)])
        edges = [self._rows * number // max(1, count) for number in range(count + 1)]
        for begin, end in pairwise(edges):
            chosen = int(((places >= begin) & (places < end)).sum())
            example = next((text for place, text in self._examples if begin <= place < end), "")
            cell = Cell(end - begin, chosen, self._rows, len(places))
            yield None, f"rows from row {begin + 1:,} to {end:,}", cell, example


def _started(values: pd.Series[Any], *, is_number: bool, is_moment: bool) -> _Column:
    if not is_number:
        return _Column()
    numbers = values.dropna().to_numpy("float64")
    numbers = numbers[np.isfinite(numbers)]
    if not is_moment and len(np.unique(numbers)) <= _FEW_NUMBERS:
        return _Column()
    edges = np.unique(np.quantile(numbers, _SHARES)) if len(numbers) else np.empty(0)
    return _Column(edges, is_moment)


def _tails(name: str, column: _Column, edges: NDArray[np.float64]) -> Iterator[tuple[str, list[_Tally]]]:
    for number, edge in enumerate(edges, 1):
        bound = (
            f"{np.datetime64(int(edge * 1e6), 'us').item():%Y-%m-%d %H:%M}"
            if column.is_moment
            else f"{edge:,.6g}"
        )
        upper = [tally for code, tally in column.tallies.items() if code is not None and code >= number]
        lower = [tally for code, tally in column.tallies.items() if code is not None and code < number]
        later, earlier = ("from", "before") if column.is_moment else ("at least", "below")
        yield f"rows with {name} {later} {bound}", upper
        yield f"rows with {name} {earlier} {bound}", lower


def _summed(tallies: Any) -> _Tally:
    total = _Tally()
    for tally in tallies:
        total.add(tally.rows, tally.bad, tally.example)
    return total


def _size(value: Any) -> float:
    """Return about how large a number is that cannot be read: of two readings, the likelier."""
    match = _NUMBER.search(value) if isinstance(value, str) else None
    if match is None:
        return np.nan
    text = re.sub(r"['\u2019\s]", "", match[0]).rstrip(".,")
    whole, sign, last = (
        text[: (at := max(text.rfind("."), text.rfind(",")))],
        text[at : at + 1],
        text[at + 1 :],
    )
    if at < 0:
        return float(text)
    has_decimals = len(last) != 3 or (sign == "." and "," in whole) or (sign == "," and "." in whole)
    digits = re.sub("[.,]", "", whole) or "0"
    return float(f"{digits}.{last}" if has_decimals else f"{digits}{last}")
