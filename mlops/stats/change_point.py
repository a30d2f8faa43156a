"""Change points: since when the mean of a series of blocks is what it is at the end.

The CUSUM test for one change of a mean (Csörgő & Horváth, Limit Theorems in Change-Point Analysis, 1997,
section 2.1), its scale the long-run deviation with Bartlett's weights (Newey & West 1987) after the change
that is tested is taken out, so that a real step does not pass for dependence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

__all__ = ["last_change"]


def last_change(
    means: NDArray[np.float64], *, alpha: float, min_effect: float, min_tail: int, max_changes: int = 3
) -> int:
    """Return from which block on no column's mean has changed any more; 0 where none ever did.

    Parameters
    ----------
    means
        Shape (n_blocks, n_columns), in the order of time: each column's mean in each block.
    alpha
        How often a series without a change may show one, over all columns together (Bonferroni).
    min_effect
        A smaller difference of the means before and after is no change, in the unit of `means`.
    min_tail
        No change is looked for in that many blocks at the end: too few to be a regime of their own.
    max_changes
        How many changes are looked for, each in what follows the one before.
    """
    start = 0
    for _ in range(max_changes):
        found = _change(means[start:], alpha=alpha, min_effect=min_effect, min_tail=min_tail)
        if found == 0:
            break
        start += found
    return start


def _change(means: NDArray[np.float64], *, alpha: float, min_effect: float, min_tail: int) -> int:
    n, columns = means.shape
    if columns == 0 or n < 2 * min_tail:
        return 0
    deviations = means - means.mean(axis=0)
    sums = np.abs(np.cumsum(deviations, axis=0))[: n - min_tail]
    at = sums.argmax(axis=0) + 1
    after = np.arange(n)[:, None] >= at
    later = np.where(after, means, 0.0).sum(axis=0) / after.sum(axis=0)
    earlier = np.where(after, 0.0, means).sum(axis=0) / (~after).sum(axis=0)
    residuals = means - np.where(after, later, earlier)
    scale = np.sqrt(np.maximum(_long_run_variance(residuals), 1e-12) * n)
    chance = kolmogorov(sums.max(axis=0) / scale)
    changed = (chance < alpha / columns) & (np.abs(later - earlier) >= min_effect)
    # Of several columns that changed, the last change counts: before it the rows are of two regimes.
    return int(at[changed].max()) if changed.any() else 0


def _long_run_variance(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per column the variance of the sum over n, shape (n_columns,)."""
    n = len(residuals)
    lags = int(n ** (1 / 3))
    total = (residuals**2).mean(axis=0)
    for lag in range(1, lags + 1):
        covariance = (residuals[lag:] * residuals[:-lag]).sum(axis=0) / n
        total = total + 2 * (1 - lag / (lags + 1)) * covariance
    return np.asarray(total)
