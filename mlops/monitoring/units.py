"""Another unit: is a column what it was, times a power of ten or in other degrees, since one day?

Proof asks for all of its distribution: what was served, converted back, must be what the reference is, within
what chance does to samples of this size, and as it stands it must not be. Growth passes through every factor
and stays at none: a change that goes on within the window is no proof. Nor is a factor below a hundred: a
tenfold growth happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlops.stats.ecdf import block_variance, ecdf_gap, gap_limit

__all__ = ["Readings", "Stretch", "Unit", "UnitChange", "best_stretch", "factor_of", "unit_change"]

Floats = NDArray[np.float64]

_QUANTILES = (0.1, 0.5, 0.9)
"""By which a column is screened: sentinels and outliers lie beyond."""
_CELL_ROWS, _CELLS = 20, 30
"""A window is screened in stretches of at least so many rows, and in so many at most."""
_MOST_SHAPE_GAP = 1 / 3
"""Samples so small that chance alone may make more than this difference prove nothing."""
_OTHER_LEVEL_GAP = 1 / 2
"""From this difference on, a level is another however unlike days are."""
_BLOCK_ROWS = 5
"""Rows a block needs on average, so that they have a shape of their own."""
_NEAR = 7
"""Blocks on either side of a change that are neighbours: no season moves within them."""
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
        if ordered and (np.diff(blocks) < 0).any():
            there = there[np.argsort(blocks[there], kind="stable")]
        return cls(values[there], blocks[there], ordered)

    @cached_property
    def quantiles(self) -> Floats:
        """Values at 5, 10, 50, 90 and 95%."""
        return np.asarray(np.quantile(self.values, (0.05, *_QUANTILES, 0.95)))

    @cached_property
    def within(self) -> Floats | None:
        """Each value's distance from its block's median; None where blocks have too few rows."""
        names, member = np.unique(self.blocks, return_inverse=True)
        if self.values.size < _BLOCK_ROWS * names.size:
            return None
        order = np.lexsort((self.values, member))
        first = np.searchsorted(member[order], np.arange(names.size + 1))
        middle = (first[:-1] + first[1:] - 1) / 2
        ranked = self.values[order]
        medians = (ranked[np.floor(middle).astype(int)] + ranked[np.ceil(middle).astype(int)]) / 2
        return np.asarray(self.values - medians[member])

    def converted(self, unit: Unit) -> Readings:
        """Return them as they were before."""
        return replace(self, values=unit.undone(self.values))

    def where(self, rows: NDArray[np.bool_]) -> Readings:
        """Return some of them."""
        return replace(self, values=self.values[rows], blocks=self.blocks[rows])

    def halves(self) -> tuple[Readings, Readings]:
        """Return the earlier half of the blocks, and the later."""
        earlier = self.blocks <= self.blocks[(self.blocks.size - 1) // 2]
        return self.where(earlier), self.where(~earlier)


@dataclass(frozen=True)
class Stretch:
    """A part of a window.

    Parameters
    ----------
    first, last
        The blocks from and to which it reaches; None where it is from the window's start, or to its end.
    """

    first: int | None
    last: int | None


@dataclass(frozen=True)
class UnitChange(Stretch):
    """A proven change of unit, and the part of the window that is in the new one."""

    unit: Unit


def unit_change(
    old: Readings, new: Readings, earlier: Callable[[], Readings | None] = lambda: None
) -> UnitChange | None:
    """Return the change of unit that a window proves; None without one.

    Parameters
    ----------
    old, new
        Of the reference and of the window.
    earlier
        Reads what the model served before the window, where the day of the change may lie. Called where the
        window may be in another unit from its start, and too much has happened since the reference.
    """
    if min(old.values.size, new.values.size) < _CELL_ROWS:
        return None
    reference = old.quantiles[1:4]
    if reference[2] == reference[0]:
        return None  # a constant has no distribution to compare
    for unit in _candidates(reference, _cells(new.values)):
        inside = _stretch(unit, reference, new)
        if inside.sum() < _CELL_ROWS:
            continue
        if _is_proven(unit, old, new.where(inside), new.where(~inside)):
            return _change(unit, new, inside)
        if inside[0] and new.ordered and (before := earlier()) is not None:
            rows = Readings.of(
                np.concatenate([before.values, new.values]),
                np.concatenate([before.blocks, new.blocks]),
                ordered=True,
            )
            inside = _stretch(unit, reference, rows)
            begins = rows.blocks[inside][0]
            around = rows.where(inside & (rows.blocks < begins + 2 * _NEAR)), rows.where(~inside)
            if begins < new.blocks[0] <= rows.blocks[inside][-1] and _is_proven(unit, old, *around):
                return _change(unit, rows, inside)
    return None


def _change(unit: Unit, new: Readings, inside: NDArray[np.bool_]) -> UnitChange:
    first, last = new.blocks[inside][[0, -1]]
    return UnitChange(None if inside[0] else int(first), None if inside[-1] else int(last), unit)


def factor_of(old: Readings, new: Readings) -> float | None:
    """Return the factor by which a column moved, where its quantiles look like another unit; else None."""
    before, after = old.quantiles[1:4], new.quantiles[1:4]
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

    Likelihoods are of a Laplace distribution with the reference's median and spread.
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
    return best_stretch(evidence, new.blocks)


def best_stretch(evidence: Floats, blocks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the blocks in a row whose evidence has the largest sum, by Kadane's algorithm."""
    member = np.unique(blocks, return_inverse=True)[1]
    best, since, total, bounds = 0.0, 0, 0.0, (0, -1)
    for place, gain in enumerate(np.bincount(member, weights=evidence).tolist()):
        total, since = (total + gain, since) if total > 0 else (gain, place)
        if total > best:
            best, bounds = total, (since, place)
    return np.asarray((member >= bounds[0]) & (member <= bounds[1]))


def _is_proven(unit: Unit, old: Readings, inside: Readings, outside: Readings) -> bool:
    """Return whether the stretch is in this unit, and the window's rest or the reference in the old one."""
    noise = _Noise.of(old)
    undone = inside.converted(unit)
    sides = [side for side in (outside, old) if side.values.size >= _CELL_ROWS]
    if not all(noise.same_shape(undone, side) for side in sides):
        return False
    if not any(_needs_conversion(unit, inside, side, noise) for side in sides):
        return False
    pairs = [*((undone, side) for side in sides), _neighbours(undone, outside)]
    if not any(noise.same_level(*pair) for pair in pairs):
        return False
    earlier, later = undone.halves()
    if min(earlier.values.size, later.values.size) < _CELL_ROWS:
        return True
    return noise.same_shape(earlier, later, most=1.0) and noise.same_level(earlier, later)


def _needs_conversion(unit: Unit, inside: Readings, side: Readings, noise: _Noise) -> bool:
    """Return whether the stretch as it stands is another; in other degrees, had it grown or moved as well."""
    if noise.same_shape(inside, side):
        return False  # it has moved at most
    if not unit.offset:
        return True
    here, there = float(np.median(inside.values)), float(np.median(side.values))
    factor = there / here if here and there else 1.0
    grown = replace(inside, values=inside.values * factor)
    return not noise.same_shape(grown, side) and not noise.same_level(inside, side, most=_OTHER_LEVEL_GAP)


def _neighbours(inside: Readings, outside: Readings) -> tuple[Readings, Readings]:
    """Return the blocks on either side of the day on which the stretch begins, or else ends."""
    begins, before = inside.blocks[0], outside.blocks < inside.blocks[0]
    if before.any():
        return inside.where(inside.blocks < begins + _NEAR), outside.where(
            before & (outside.blocks >= begins - _NEAR)
        )
    ends = inside.blocks[-1]
    return inside.where(inside.blocks > ends - _NEAR), outside.where(
        (outside.blocks > ends) & (outside.blocks <= ends + _NEAR)
    )


@dataclass(frozen=True)
class _Noise:
    """How much a reference's blocks differ among themselves, beyond their rows: in level, and in spread.

    The shape of a distribution is that of the rows within a block around its median: what days differ by, as
    with the weather, hides no conversion. The level is then compared as the days allow.
    """

    level: float
    shape: float

    @classmethod
    def of(cls, old: Readings) -> _Noise:
        within = old.within
        return cls(
            block_variance(old.values, old.blocks, ordered=old.ordered),
            0.0 if within is None else block_variance(np.abs(within), old.blocks, ordered=old.ordered),
        )

    def same_shape(self, one: Readings, other: Readings, *, most: float = _MOST_SHAPE_GAP) -> bool:
        """Return whether rows lie alike within their blocks; in all, where blocks have too few rows."""
        if one.within is None or other.within is None:
            return _within_chance(one, other, one.values, other.values, self.level, most)
        return _within_chance(one, other, one.within, other.within, self.shape, most)

    def same_level(self, one: Readings, other: Readings, *, most: float = 1.0) -> bool:
        """Return whether values lie alike."""
        if min(one.values.size, other.values.size) < _CELL_ROWS:
            return False
        return _within_chance(one, other, one.values, other.values, self.level, most)


def _within_chance(
    one: Readings, other: Readings, left: Floats, right: Floats, between: float, most: float
) -> bool:
    rows = (left.size, right.size)
    blocks = (np.unique(one.blocks).size, np.unique(other.blocks).size)
    gap = ecdf_gap(np.sort(left), np.sort(right), slack=_slack(np.sort(one.values), np.sort(other.values)))
    return gap <= min(gap_limit(rows, blocks, between), most)


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
