"""How far two samples of a column lie apart by chance.

The reference's blocks are split at random, some hundred times, into as many as a window has and the others,
and the distance of the two sides is taken. Rows of one block stay together, because a day's rows resemble one
another more than the next day's. A window thinner than the reference gets a random part of each block's rows,
so that its own noise counts.

A threshold is a quantile far out, which few draws reach: it comes of a distribution that is fitted to them.
The squared distance is a floor, what samples of this size always differ by, and a multiple of a chi-squared
variable of one degree of freedom, as of means that moved; both from the draws' mean and variance. That
variable is multiplied by how much more than in a split the means of a later window vary
(`mlops.stats.dependence`), which is estimated, so that a mixture of squares of Student's t takes its place.
What represents a column there is its `contrasts`; of several the widest threshold counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import chdtri, stdtr

from mlops.stats.dependence import BlockMeans, Variance, variance
from mlops.stats.distance import compared, statistics_of
from mlops.stats.statistics import Floats, Statistic

__all__ = ["Shape", "null_quantiles", "shape_of"]

_GROUPS = 200
"""Into how many groups blocks are pooled at most, where every row is a block of its own."""
_LEAST_BLOCKS = 10
"""Fewer blocks cannot tell what chance does."""
_GRAIN = 256
"""Distinct values a column of numbers keeps while chance is estimated."""
_CELLS = 200_000
"""Cells of a matrix of draws held at once: what a processor's cache holds."""
_DRAWS = 400
_CATEGORIES = 5
"""The most frequent categories, whose shares are the contrasts of a column of names."""
_CHECKED = 0.05
"""The tail at which the fitted distribution must not lie below the draws."""
_LEAST_DRAWS = 50
_CHI_SQUARED_DEVIATION = np.sqrt(2.0)
_LEAST_RATIO = 1e-12
_HALVINGS = 50


@dataclass(frozen=True)
class Shape:
    """The extent of a window beside a reference: windows of one shape have the same `null_quantiles`.

    Parameters
    ----------
    blocks
        The window's.
    drawn, groups
        How many of the reference's groups of blocks a split draws.
    parts
        Into how many parts each block is cut.
    """

    blocks: int
    drawn: int
    groups: int
    parts: int


def null_quantiles(
    reference: pd.DataFrame,
    columns: Mapping[str, str],
    blocks: NDArray[np.int64],
    *,
    window_blocks: int,
    window_rows: int,
    tails: Mapping[str, float],
    ordered: bool,
    seed: int,
    draws: int = _DRAWS,
) -> dict[str, float]:
    """Return what each column's distance exceeds in a share of windows where nothing but chance differs.

    Parameters
    ----------
    reference
        Prepared, see `mlops.stats.distance.prepared`.
    blocks
        Shape (n_rows,): the block of each row of `reference`.
    window_blocks, window_rows
        The extent of the window to judge.
    tails
        By column, that share.
    ordered
        Whether blocks are times, with neighbours; else they are taken for independent.

    Returns
    -------
    dict
        By column, finite. Empty where the reference has fewer than ten blocks; without a column that
        hardly a draw has values of.
    """
    rng = np.random.default_rng(seed)
    group, groups = _pooled(blocks, rng)
    if groups < _LEAST_BLOCKS:
        return {}
    shape = shape_of(blocks, window_blocks=window_blocks, window_rows=window_rows)
    part = rng.integers(shape.parts, size=len(reference))
    cell = group * shape.parts + part
    splits = _Splits.draw(groups, shape.parts, shape.drawn, draws, rng)
    measured: dict[str, _Measured] = {}
    for name, statistic in statistics_of(columns).items():
        column = _measured(reference[name], statistic, cell, splits)
        if column is not None:
            measured[name] = column
    if not measured:
        return {}
    variances = _variances(list(measured.values()), blocks, shape, ordered=ordered)
    found, start = {}, 0
    for name, column in measured.items():
        end = start + len(column.moved)
        quantile = column.quantile(variances.of(slice(start, end)), tails[name])
        if np.isfinite(quantile):
            found[name] = quantile
        start = end
    return found


def shape_of(blocks: NDArray[np.int64], *, window_blocks: int, window_rows: int) -> Shape:
    """Return the shape of a window beside a reference of these blocks."""
    count = len(np.unique(blocks))
    groups = min(count, _GROUPS)
    wanted = window_blocks if count <= _GROUPS else round(window_blocks * _GROUPS / count)
    drawn = min(max(wanted, 1), groups // 2)
    parts = max(1, ceil(drawn * len(blocks) / max(groups, 1) / max(window_rows, 1)))
    return Shape(window_blocks, drawn, groups, parts)


@dataclass(frozen=True)
class _Splits:
    """Random splits of blocks. Each block is cut into parts, each part of one column is a row of counts.

    `window` has shape (resamples, groups * parts) and marks one part of each block drawn;
    `others`, shape (resamples, groups), marks the blocks that were not.
    """

    window: sparse.csr_array
    others: Floats
    parts: int

    @classmethod
    def draw(cls, groups: int, parts: int, drawn: int, resamples: int, rng: np.random.Generator) -> _Splits:
        blocks = rng.random((resamples, groups)).argsort(axis=1)[:, :drawn]
        others = np.ones((resamples, groups))
        np.put_along_axis(others, blocks, 0.0, axis=1)
        cells = (blocks * parts + rng.integers(parts, size=blocks.shape)).ravel()
        rows = np.repeat(np.arange(resamples), drawn)
        shape = (resamples, groups * parts)
        return cls(sparse.csr_array((np.ones(cells.size), (rows, cells)), shape=shape), others, parts)

    def distances(self, statistic: Statistic, support: Floats, counts: sparse.csr_array) -> Floats:
        """Return each split's distance, without those where a side has no value."""
        # The parts of each block together; all of them side by side would fill the memory.
        joined = sparse.kron(sparse.eye_array(self.others.shape[1]), np.ones((1, self.parts)), format="csr")
        whole = (joined @ counts).toarray()
        step = max(1, _CELLS // max(1, len(support)))
        found = []
        for start in range(0, len(self.others), step):
            old = self.others[start : start + step] @ whole
            if self.parts == 1:
                new = whole.sum(axis=0) - old  # undivided: the window has what the others leave
            else:
                new = (self.window[start : start + step] @ counts).toarray()
            some = (old.sum(axis=1) > 0) & (new.sum(axis=1) > 0)
            found.append(compared(statistic, support, old[some], new[some]))
        return np.concatenate(found)

    def moved(self, contrasts: Floats, cell: NDArray[np.int64]) -> Floats:
        """Return the mean square by which the sides' means of each contrast differ, shape (n_contrasts,)."""
        known = np.isfinite(contrasts)
        cells = self.window.shape[1]
        total, count = (
            np.stack([np.bincount(cell, weights=column, minlength=cells) for column in part.T], axis=1)
            for part in (np.where(known, contrasts, 0.0), known.astype(float))
        )
        whole, counted = (part.reshape(-1, self.parts, part.shape[1]).sum(axis=1) for part in (total, count))
        with np.errstate(invalid="ignore", divide="ignore"):
            new = (self.window @ total) / (self.window @ count)
            old = (self.others @ whole) / (self.others @ counted)
            squares = (new - old) ** 2
        both = np.isfinite(squares).sum(axis=0)
        return np.asarray(np.nan_to_num(squares).sum(axis=0) / np.maximum(both, 1))


@dataclass(frozen=True)
class _Measured:
    """What the splits showed of a column.

    `null` has shape (n_draws,): their distances; `contrasts`, shape (n_rows, n_contrasts), what stands for
    the column where dependence is estimated; `moved`, shape (n_contrasts,), how much the splits move each.
    """

    null: Floats
    contrasts: Floats
    moved: Floats

    def quantile(self, spread: Variance, tail: float) -> float:
        """Return what the distance exceeds in a share `tail` of windows; of the contrasts the most."""
        squares = self.null**2
        moving = squares.std() / _CHI_SQUARED_DEVIATION
        floor = squares.mean() - moving
        if moving <= 0.0:
            return float(np.sqrt(squares.mean()))
        fitted = np.sqrt(floor + moving * chdtri(1, _CHECKED))
        light = max(1.0, float(np.quantile(self.null, 1 - _CHECKED)) / fitted)
        moves = self.moved > 0
        ratios = np.where(moves, spread.values / np.where(moves, self.moved, 1.0), 1.0)
        high = np.full(len(self.moved), np.log(moving) + 60.0)
        low = high - 90.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            t = np.exp((middle - np.log(moving * np.maximum(ratios, _LEAST_RATIO))) / 2)
            much = (spread.weights * 2 * stdtr(spread.freedom, -t)).sum(axis=0) > tail
            low, high = np.where(much, middle, low), np.where(much, high, middle)
        return float(light * np.sqrt(max(floor, 0.0) + np.exp(high.max())))


def _measured(
    values: pd.Series, statistic: Statistic, cell: NDArray[np.int64], splits: _Splits
) -> _Measured | None:
    """Return what the splits show of a column; None where hardly one has values on both sides."""
    codes, support = pd.factorize(values, sort=statistic.is_ordered)
    there = codes >= 0
    counts = np.bincount(codes[there], minlength=len(support)).astype(float)
    if statistic.is_ordered and there.any():
        places = statistic.scaled(np.asarray(support, float), counts)
        value = np.where(there, places[codes], np.nan)
        contrasts = np.stack([value, np.abs(value - np.nanmean(value))], axis=1)
        grains, places = _coarse(places, counts)
        codes = grains[codes]
    else:
        kept = counts.argsort()[::-1][: max(1, min(len(support) - 1, _CATEGORIES))]
        contrasts = np.where(there[:, None], codes[:, None] == kept, np.nan)
        places = np.arange(len(support), dtype=float)
    shape = (splits.window.shape[1], len(places))
    cells = sparse.csr_array((np.ones(there.sum()), (cell[there], codes[there])), shape=shape)
    null = splits.distances(statistic, places, cells) if there.any() else np.empty(0)
    return _Measured(null, contrasts, splits.moved(contrasts, cell)) if null.size >= _LEAST_DRAWS else None


def _coarse(places: Floats, counts: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Join neighbouring values to few of equal weight: what chance does needs no finer grain.

    Returns the number of each value's grain, and the grains' means.
    """
    if len(places) <= _GRAIN:
        return np.arange(len(places)), places
    rank = (np.cumsum(counts) - counts / 2) / counts.sum()
    _, grain = np.unique((rank * _GRAIN).astype(np.int64), return_inverse=True)
    return grain, np.bincount(grain, weights=places * counts) / np.bincount(grain, weights=counts)


def _variances(
    columns: Sequence[_Measured], blocks: NDArray[np.int64], shape: Shape, *, ordered: bool
) -> Variance:
    """Return how the means of each contrast vary between the reference and a later window."""
    count = len(np.unique(blocks))
    if ordered:
        contrasts = np.concatenate([column.contrasts for column in columns], axis=1)
        rows = np.isfinite(contrasts).sum(axis=0) / count * shape.blocks / shape.parts
        means = BlockMeans.of(contrasts, blocks)
        return variance(means, window_blocks=shape.blocks, window_rows=np.maximum(rows, 1.0))
    moved = np.concatenate([column.moved for column in columns])[None]
    drawn = shape.drawn * count / shape.groups
    ratio = (1 / shape.blocks + 1 / count) / (1 / drawn + 1 / (count - drawn))
    return Variance(np.ones_like(moved), moved * ratio, np.full(moved.shape[1], shape.groups - 1.0))


def _pooled(blocks: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
    """Number the blocks from 0, pooled at random where there are very many of them."""
    group, names = pd.factorize(blocks)
    count = len(names)
    if count <= _GROUPS:
        return group.astype(np.int64), count
    pool = rng.permutation(count) % _GROUPS
    return pool[group], _GROUPS
