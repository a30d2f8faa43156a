"""The middle and the spread of numbers, whatever a few of them are.

The median, and the interquartile range in the unit of a normal distribution's standard deviation (Hampel et
al., Robust Statistics, 1986): a quarter of the values may be anything. Where half of the values are the same,
wider ranges of quantiles take its place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIP", "scaled", "spread"]

Floats = NDArray[np.float64]

CLIP = 5.0
"""Spreads from the median beyond which a value counts as that far."""
_RANGES = ((0.25, 1.3489795), (0.05, 3.2897073), (0.01, 4.6526957))
"""Ranges between two quantiles: how much lies beyond on either side, and their width of N(0, 1)."""
_OF_CONSTANT = 1e-3
"""The spread of a constant, as a share of it."""


def spread(support: Floats, counts: NDArray[np.generic]) -> tuple[float, float]:
    """Return the median and the robust spread of distinct values in order, each with its count.

    The spread is positive: of a constant it is a thousandth of its size.
    """
    weights = np.asarray(counts, float)
    reached = np.cumsum(weights) / weights.sum()

    def quantile(level: float) -> float:
        return float(support[min(int(np.searchsorted(reached, level - 1e-12)), len(support) - 1)])

    middle = quantile(0.5)
    for tail, normal in _RANGES:
        width = (quantile(1 - tail) - quantile(tail)) / normal
        if width > 0:
            return middle, width
    width = float(np.abs(support - middle) @ weights / weights.sum())
    return middle, width or _OF_CONSTANT * (abs(middle) or 1.0)


def scaled(support: Floats, counts: NDArray[np.generic]) -> Floats:
    """Return values as spreads from the median of what `counts` counts, clipped at `CLIP` either way."""
    some = np.asarray(counts) > 0
    middle, width = spread(support[some], np.asarray(counts)[some])
    return np.clip((support - middle) / width, -CLIP, CLIP)
