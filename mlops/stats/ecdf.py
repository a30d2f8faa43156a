"""Empirical distributions beside each other: the largest difference, and how much of it chance may make."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["block_variance", "ecdf_gap", "gap_limit"]

Floats = NDArray[np.float64]

_KOLMOGOROV = 1.949
"""What the scaled difference exceeds in one of 1,000 pairs of one distribution (Smirnov 1948)."""


def ecdf_gap(one: Floats, other: Floats, *, slack: float = 0.0) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic, between 0 and 1.

    Parameters
    ----------
    one, other
        Values in ascending order, without NaN.
    slack
        By how much a value may be displaced for nothing, as rounding does: the Lévy distance with the
        displacement given.
    """

    def above(left: Floats, right: Floats) -> float:
        share = np.searchsorted(left, left, side="right") / left.size
        return float((share - np.searchsorted(right, left + slack, side="right") / right.size).max())

    return max(above(one, other), above(other, one), 0.0)


def block_variance(values: Floats, blocks: NDArray[np.int64], *, ordered: bool) -> float:
    """Return how much blocks differ beyond their rows: the variance of their effects over that of the ranks.

    Widened by the autocorrelation of neighbouring blocks, as the variance of their mean is: (1 + r)/(1 - r).
    """
    order = np.sort(values)
    ranks = (np.searchsorted(order, values) + np.searchsorted(order, values, side="right")) / (2 * order.size)
    member = np.unique(blocks, return_inverse=True)[1]
    sizes = np.bincount(member)
    if sizes.size < 3 or not (total := float(ranks.var())):
        return 0.0
    means = np.bincount(member, weights=ranks) / sizes - ranks.mean()
    within = float(((ranks - ranks.mean() - means[member]) ** 2).sum()) / max(1, ranks.size - sizes.size)
    effects = max(0.0, float(means.var(ddof=1)) - within * float((1 / sizes).mean()))
    likeness = float((means[1:] * means[:-1]).sum() / (means**2).sum()) if ordered else 0.0
    return effects / total * (1 + max(0.0, likeness)) / (1 - min(max(0.0, likeness), 0.95))


def gap_limit(rows: tuple[int, int], blocks: tuple[int, int], between: float) -> float:
    """Return what `ecdf_gap` exceeds in one of 1,000 pairs of samples from one distribution.

    Parameters
    ----------
    rows, blocks
        Of either sample.
    between
        How much blocks differ, see `block_variance`; rows of one block count for less by it.
    """
    share = sum(1 / n + between / count if n else inf for n, count in zip(rows, blocks, strict=True))
    return _KOLMOGOROV * sqrt(share)
