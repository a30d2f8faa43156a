"""How far two samples of a column lie apart, and how far apart they lie by chance.

Each column by the statistic of its feature type, see `mlops.stats.statistics`, with missing values left out;
`mlops.adapters.evidently` gives the same figures to 1e-6. Here they are also computed a thousand times over,
on counts, to estimate what chance alone does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mlops import feature_types
from mlops.stats import statistics
from mlops.stats.statistics import Floats, Statistic

__all__ = ["between", "distance_of", "distances", "null_quantiles", "prepared", "split_shape"]

_GROUPS = 200
"""Into how many groups blocks are pooled at most, where every row is a block of its own."""
_LEAST_BLOCKS = 10
"""Fewer blocks cannot tell what chance does."""
_GRAIN = 256
"""Distinct values a column of numbers keeps while chance is estimated."""
_CELLS = 200_000
"""Cells of a matrix of draws held at once: what a processor's cache holds."""


def prepared(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return these columns as statistics want them, see `FeatureType.measured`.

    Parameters
    ----------
    columns
        Names to feature types.
    """
    return pd.DataFrame(
        {name: feature_types.find(type).measured(frame[name]) for name, type in columns.items()}
    )


def distances(reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, float]:
    """Measure each column's distance once.

    Returns
    -------
    dict
        By column, at least 0. A column without a single value on one side is left out.
    """
    return between(prepared(reference, columns), prepared(current, columns), columns)


def between(reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, float]:
    """Measure as `distances` does, between columns that are `prepared`."""
    found = {
        name: distance_of(statistic, reference[name], current[name])
        for name, statistic in _statistics(columns).items()
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def distance_of(statistic: Statistic, reference: pd.Series, current: pd.Series) -> float:
    """Return how far two samples of one column, both `prepared`, lie apart; NaN where one has no value."""
    side = np.repeat([0, 1], [len(reference), len(current)])
    support, counts = _tally(pd.concat([reference, current]), side, 2, statistic)
    both = counts.toarray()
    if not both.sum(axis=1).all():
        return nan
    return float(_distance(statistic, support, both[:1], both[1:])[0])


def null_quantiles(
    reference: pd.DataFrame,
    columns: Mapping[str, str],
    blocks: NDArray[np.int64],
    *,
    window_blocks: int,
    window_rows: int,
    quantile: float,
    resamples: int,
    seed: int,
) -> dict[str, float]:
    """Return the quantile of each column's distance where nothing but chance differs.

    The reference's blocks are split at random, `resamples` times, into as many as a window has
    and the others, and the distance of the two sides is taken. Rows of one block stay together,
    because a day's rows resemble one another more than the next day's. A window thinner than
    the reference gets a random part of each block's rows, so that its own noise counts.

    Parameters
    ----------
    reference
        Prepared, see `prepared`.
    blocks
        Shape (n_rows,): the block of each row of `reference`.
    window_blocks, window_rows
        The extent of the window to judge.

    Returns
    -------
    dict
        By column. Empty where the reference has fewer than ten blocks; without a column that
        no draw has values of.
    """
    rng = np.random.default_rng(seed)
    group, groups = _pooled(blocks, rng)
    if groups < _LEAST_BLOCKS:
        return {}
    drawn, parts = split_shape(blocks, window_blocks=window_blocks, window_rows=window_rows)
    part = rng.integers(parts, size=len(reference))
    splits = _Splits.draw(groups, parts, drawn, resamples, rng)
    found = {}
    for name, statistic in _statistics(columns).items():
        values = _coarse(reference[name]) if statistic.is_ordered else reference[name]
        support, counts = _tally(values, group * parts + part, groups * parts, statistic)
        null = splits.distances(statistic, support, counts)
        if null.size:
            found[name] = float(np.quantile(null, quantile))
    return found


def split_shape(blocks: NDArray[np.int64], *, window_blocks: int, window_rows: int) -> tuple[int, int]:
    """Return how many blocks of the reference a split draws, and into how many parts it cuts each.

    Windows of one shape have the same `null_quantiles`.
    """
    count = len(np.unique(blocks))
    groups = min(count, _GROUPS)
    wanted = window_blocks if count <= _GROUPS else round(window_blocks * _GROUPS / count)
    drawn = min(max(wanted, 1), groups // 2)
    return drawn, max(1, ceil(drawn * len(blocks) / max(groups, 1) / max(window_rows, 1)))


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
            found.append(_distance(statistic, support, old[some], new[some]))
        return np.concatenate(found)


def _statistics(columns: Mapping[str, str]) -> dict[str, Statistic]:
    return {name: statistics.of(feature_types.find(type)) for name, type in columns.items()}


def _tally(
    values: pd.Series, cell: NDArray[np.int64], cells: int, statistic: Statistic
) -> tuple[Floats, sparse.csr_array]:
    """Count each distinct value in each cell; missing values count nowhere.

    Returns the distinct values in order (numbers; for others their order means nothing) and
    counts of shape (cells, n_distinct).
    """
    codes, support = pd.factorize(values, sort=statistic.is_ordered)
    there = codes >= 0
    shape = (cells, len(support))
    counts = sparse.csr_array((np.ones(there.sum()), (cell[there], codes[there])), shape=shape)
    places = np.asarray(support, float) if statistic.is_ordered else np.arange(len(support), dtype=float)
    return places, counts


def _distance(statistic: Statistic, support: Floats, reference: Floats, current: Floats) -> Floats:
    """Return the distances of rows of counts, shape (n, n_distinct), each to its own partner."""
    old = reference / reference.sum(axis=1, keepdims=True)
    new = current / current.sum(axis=1, keepdims=True)
    return statistic.function(support, old, new)


def _pooled(blocks: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
    """Number the blocks from 0, pooled at random where there are very many of them."""
    group, names = pd.factorize(blocks)
    count = len(names)
    if count <= _GROUPS:
        return group.astype(np.int64), count
    pool = rng.permutation(count) % _GROUPS
    return pool[group], _GROUPS


def _coarse(values: pd.Series) -> pd.Series:
    """Move values to their nearest of some quantiles: what chance does needs no finer grain."""
    if values.nunique() <= _GRAIN:
        return values
    grid = np.unique(values.quantile(np.linspace(0, 1, _GRAIN)))
    nearest = grid[np.searchsorted((grid[1:] + grid[:-1]) / 2, values)]
    return pd.Series(np.where(values.isna(), np.nan, nearest))
