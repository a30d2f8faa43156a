"""Another unit: is a column what it was, times a power of ten or in other degrees, since one day?

Proof asks for all of its distribution: what was served, converted back, must be what the reference is, within
what chance does to samples of this size, and as it stands it must not be. Growth passes through every factor
and stays at none: a change that goes on within the window is no proof. Nor is a factor below a hundred: a
tenfold growth happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops.stats.ecdf import block_variance, ecdf_gap, gap_limit

__all__ = ["Readings", "Unit", "UnitChange", "factor_of", "unit_change"]

Floats = NDArray[np.float64]

_QUANTILES = (0.1, 0.5, 0.9)
"""By which a column is screened: sentinels and outliers lie beyond."""
_CELL_ROWS, _CELLS = 20, 30
"""A window is screened in stretches of at least so many rows, and in so many at most."""
_MOST_GAP = 1 / 3
"""Samples so small that chance alone may make more than this difference prove nothing."""
_MOST_EVIDENCE = 10.0
"""A single row's, so that no sentinel decides."""
_FACTOR, _ALIKE = 1.5, 0.1
"""From this factor on, quantiles that agree to this share of their spread look like another unit."""
_FEW = 10
"""Distinct values: so few come again exactly, and are not rounded."""
_MOST_SLACK = 0.25
"""Of a column's spread: what is rounded more coarsely is compared as it is."""


@dataclass(frozen=True)
class Unit:
    """A conversion: what was x is now ``slope`` x + ``offset``."""

    title: str
    slope: float
    offset: float = 0.0

    def undone(self, values: Floats) -> Floats:
        """Return values as they were before."""
        return (values - self.offset) / self.slope


_DEGREES = (
    Unit("degrees Fahrenheit, in the reference Celsius", 9 / 5, 32.0),
    Unit("degrees Celsius, in the reference Fahrenheit", 5 / 9, -160 / 9),
)


def power_of_ten(exponent: int) -> Unit:
    """Return the conversion by a decimal factor."""
    return Unit(f"the reference's times {10.0**exponent:g}", 10.0**exponent)


@dataclass(frozen=True)
class Readings:
    """A column's values, without NaN, and the block of each, in the order of the blocks where they have one.

    Parameters
    ----------
    ordered
        Whether blocks are times.
    """

    values: Floats
    blocks: NDArray[np.int64]
    ordered: bool

    @classmethod
    def of(cls, values: Floats, blocks: NDArray[np.int64], *, ordered: bool) -> Readings:
        """Return what is there of a column, in order."""
        there = np.flatnonzero(~np.isnan(values))
        if ordered:
            there = there[np.argsort(blocks[there], kind="stable")]
        return cls(values[there], blocks[there], ordered)

    def where(self, rows: NDArray[np.bool_]) -> Readings:
        """Return some of them."""
        return Readings(self.values[rows], self.blocks[rows], self.ordered)

    def halves(self) -> tuple[Readings, Readings]:
        """Return the earlier half of the blocks, and the later."""
        earlier = self.blocks <= self.blocks[(self.blocks.size - 1) // 2]
        return self.where(earlier), self.where(~earlier)


@dataclass(frozen=True)
class UnitChange:
    """A proven change of unit.

    Parameters
    ----------
    first, last
        The blocks from and to which the window is in another unit; None where it is from its start, or to
        its end.
    """

    unit: Unit
    first: int | None
    last: int | None


def unit_change(old: Readings, new: Readings) -> UnitChange | None:
    """Return the change of unit that a window proves; None without one.

    Parameters
    ----------
    old, new
        Of the reference and of the window.
    """
    if min(old.values.size, new.values.size) < _CELL_ROWS:
        return None
    reference = np.quantile(old.values, _QUANTILES)
    if reference[2] == reference[0]:
        return None  # a constant has no distribution to compare
    for unit in _candidates(reference, _cells(new.values)):
        inside = _stretch(unit, reference, new)
        if inside.sum() >= _CELL_ROWS and _is_proven(unit, old, new.where(inside), new.where(~inside)):
            first, last = new.blocks[inside][[0, -1]]
            starts, ends = bool(inside[0]), bool(inside[-1])
            return UnitChange(unit, None if starts else int(first), None if ends else int(last))
    return None


def factor_of(old: Floats, new: Floats) -> float | None:
    """Return the factor by which a column moved, where its quantiles look like another unit; else None."""
    before, after = np.quantile(old, _QUANTILES), np.quantile(new, _QUANTILES)
    spread = before[2] - before[0]
    if not spread:
        return None
    factor = float((after[2] - after[0]) / spread)
    if not factor or 1 / _FACTOR < factor < _FACTOR:
        return None
    return factor if np.abs(after / factor - before).max() <= _ALIKE * spread else None


def _cells(values: Floats) -> Floats:
    """Return the quantiles of successive stretches of a window, shape (3, n_cells)."""
    cells = min(_CELLS, values.size // _CELL_ROWS)
    length = values.size // cells
    return np.asarray(
        np.quantile(values[values.size - cells * length :].reshape(cells, length), _QUANTILES, axis=1)
    )


def _candidates(reference: Floats, cells: Floats) -> Iterator[Unit]:
    """Yield the units that some stretch of a window may be in: few columns have one to prove."""
    spread = reference[2] - reference[0]
    spreads = cells[2] - cells[0]
    exponents = np.rint(np.log10(spreads[spreads > 0] / spread))
    exponents = exponents[np.abs(exponents) >= 2]
    names, counts = np.unique(exponents, return_counts=True)
    yield from (power_of_ten(int(names[place])) for place in np.argsort(-counts, kind="stable"))
    for unit in _DEGREES:
        converted = np.abs(unit.undone(cells[1]) - reference[1])
        alike = (spreads > 0) & (
            np.abs(np.log(np.maximum(spreads, 1e-300) / unit.slope / spread)) < np.log(2)
        )
        if (alike & (converted < spread) & (converted < np.abs(cells[1] - reference[1]))).any():
            yield unit


def _stretch(unit: Unit, reference: Floats, new: Readings) -> NDArray[np.bool_]:
    """Mark the blocks in a row that are likelier in this unit than in that of the reference.

    Likelihoods of a Laplace distribution with the reference's median and spread; the stretch of the largest
    sum is Kadane's.
    """
    if not new.ordered:
        return np.ones(new.values.size, bool)
    scale = (reference[2] - reference[0]) / (2 * np.log(5))

    def distance(values: Floats) -> Floats:
        return np.asarray(np.abs(values - reference[1]) / scale)

    evidence = distance(new.values) - distance(unit.undone(new.values)) - np.log(unit.slope)
    evidence = np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE)
    if not unit.offset:
        evidence[new.values == 0] = 0.0  # in any unit
    member = np.unique(new.blocks, return_inverse=True)[1]
    best, since, total, bounds = 0.0, 0, 0.0, (0, -1)
    for place, gain in enumerate(np.bincount(member, weights=evidence).tolist()):
        total, since = (total + gain, since) if total > 0 else (gain, place)
        if total > best:
            best, bounds = total, (since, place)
    return np.asarray((member >= bounds[0]) & (member <= bounds[1]))


def _is_proven(unit: Unit, old: Readings, inside: Readings, outside: Readings) -> bool:
    """Return whether the stretch is in this unit, and the window's rest or the reference in the old one."""
    between = block_variance(old.values, old.blocks, ordered=old.ordered)
    undone = Readings(unit.undone(inside.values), inside.blocks, inside.ordered)
    around = [side for side in (outside, old) if side.values.size >= _CELL_ROWS]
    if not any(_alike(undone, side, between) for side in around):
        return False
    if any(_alike(inside, side, between) for side in around):
        return False
    if unit.offset and any(_alike(moved, old, between) for moved in _moved(inside, old)):
        return False  # growth explains it as well
    earlier, later = undone.halves()
    return min(earlier.values.size, later.values.size) < _CELL_ROWS or _alike(earlier, later, between)


def _moved(inside: Readings, old: Readings) -> Iterator[Readings]:
    """Yield the stretch multiplied, and shifted, to the reference's median."""
    here, there = float(np.median(inside.values)), float(np.median(old.values))
    yield Readings(inside.values + there - here, inside.blocks, inside.ordered)
    if here and there:
        yield Readings(inside.values * there / here, inside.blocks, inside.ordered)


def _alike(one: Readings, other: Readings, between: float) -> bool:
    rows = (one.values.size, other.values.size)
    blocks = (np.unique(one.blocks).size, np.unique(other.blocks).size)
    sides = np.sort(one.values), np.sort(other.values)
    limit = gap_limit(rows, blocks, between)
    return ecdf_gap(*sides, slack=_slack(*sides)) <= min(limit, _MOST_GAP)


def _slack(one: Floats, other: Floats) -> float:
    """Return how far rounding displaces a value, at most."""
    least = 1e-9 * float(max(abs(other[0]), abs(other[-1])))
    distinct = [np.unique(side) for side in (one, other)]
    if max(side.size for side in distinct) <= _FEW:
        return least
    # Of numbers that are rounded most come again, and distinct ones are neighbours, one step apart.
    steps = [
        float(np.median(np.diff(values)))
        for values, side in zip(distinct, (one, other), strict=True)
        if 1 < values.size <= side.size / 2
    ]
    low, high = np.quantile(other, _QUANTILES[::2])
    return max(least, min(sum(steps) / 2, _MOST_SLACK * float(high - low)))
