"""How much farther a later window's mean lies from a reference's mean because neighbouring blocks resemble.

A random split of blocks takes them for exchangeable. Of blocks of time they are not: a window is a stretch of
neighbours. Block means are modelled as in `mlops.stats.mixed_model`: effects that are a first-order
autoregression, and the noise of rows. The variance of a window's mean less the reference's is that of the
model, both parts; their covariance is left out, because a window long after the reference has none.

As there, `rho` is unknown and takes all values, each with its prior and its restricted likelihood. A Kalman
filter (Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989, section 3.4) gives the
likelihood of all columns in one pass over the blocks, whatever their number and the gaps between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops.stats.mixed_model import NUGGET, PRIOR, RHO

__all__ = ["BlockMeans", "Variance", "variance"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class BlockMeans:
    """Several series of block means, in the order of time.

    Parameters
    ----------
    time
        Shape (n_blocks,): the blocks' numbers.
    size, mean
        Shape (n_blocks, n_series): the values in each block, and their mean; NaN without a value.
    within
        Shape (n_series,): the variance of values within blocks.
    """

    time: Integers
    size: Floats
    mean: Floats
    within: Floats

    @classmethod
    def of(cls, values: Floats, blocks: Integers) -> BlockMeans:
        """Return the block means of values, shape (n_rows, n_series); NaN counts nowhere."""
        time, member = np.unique(blocks, return_inverse=True)
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        size, total, squares = (_sums(member, part, len(time)) for part in (known, filled, filled**2))
        with np.errstate(invalid="ignore"):
            mean = total / size
        freedom = np.maximum((size.sum(axis=0) - (size > 0).sum(axis=0)), 1.0)
        within = (squares.sum(axis=0) - np.nansum(size * mean**2, axis=0)) / freedom
        return cls(np.asarray(time, np.int64), size, mean, np.maximum(within, 0.0))


@dataclass(frozen=True)
class Variance:
    """The variance of a window's mean less the reference's, a mixture.

    Parameters
    ----------
    weights, values
        Shape (n_rho, n_series): of each autocorrelation its weight, and the variance there.
    freedom
        Shape (n_series,): degrees of freedom of the estimate.
    """

    weights: Floats
    values: Floats
    freedom: Floats

    def of(self, series: slice) -> Variance:
        """Return that of some series."""
        return Variance(self.weights[:, series], self.values[:, series], self.freedom[series])


def variance(blocks: BlockMeans, *, window_blocks: float, window_rows: Floats) -> Variance:
    """Return the variance of a later window's mean less the reference's.

    Parameters
    ----------
    window_rows
        Shape (n_series,): the values that a window has of each.
    """
    there = blocks.size > 0
    count = there.sum(axis=0)
    mean = np.where(there, blocks.mean, 0.0)
    centre = mean.sum(axis=0) / count
    squares = (np.where(there, mean - centre, 0.0) ** 2).sum(axis=0)
    varies = squares > (_ROUNDING * (np.abs(mean).max(axis=0) + 1)) ** 2
    noise = np.where(there, blocks.within / np.maximum(blocks.size, 1), np.inf)
    freedom = np.maximum(count - 1.0, 1.0)

    total = blocks.size.sum(axis=0)
    alike = _quadratic(blocks.time, there / count)
    beyond_noise = squares - (1 - 1 / count) * np.where(there, noise, 0.0).sum(axis=0)
    effects = np.maximum(beyond_noise, 0.0) / (count * (1 - _with_nugget(alike, 1 / count)))
    floor = np.where(varies, _ROUNDING * squares / freedom, 1.0)
    errors, information, determinants = _filtered(blocks.time, mean, noise, effects, floor)

    likelihood = -(determinants + np.log(information) + freedom * np.log(np.maximum(errors, 1e-300))) / 2
    weights = PRIOR[:, None] * np.exp(likelihood - likelihood.max(axis=0))
    share = blocks.size / total
    reference = _with_nugget(_quadratic(blocks.time, share), (share**2).sum(axis=0))
    window = _with_nugget(_of_neighbours(window_blocks)[:, None], 1 / window_blocks)
    values = effects * (reference + window) + blocks.within * (1 / total + 1 / window_rows)
    values = np.where(varies, values * errors / freedom, 0.0)
    return Variance(weights / weights.sum(axis=0), values, freedom)


def _sums(member: Integers, values: NDArray[np.generic], count: int) -> Floats:
    columns = np.asarray(values, float).T
    return np.stack([np.bincount(member, weights=column, minlength=count) for column in columns], axis=1)


def _with_nugget(correlation: Floats, alone: Floats | float) -> Floats:
    return np.asarray((1 - NUGGET) * correlation + NUGGET * alone)


def _of_neighbours(count: float) -> Floats:
    """Return w' R w of so many neighbouring blocks of equal weight, shape (n_rho,)."""
    lag = np.arange(1, max(int(np.ceil(count)), 1))
    return np.asarray((1 + 2 * (RHO[:, None] ** lag @ (1 - lag / count))) / count)


def _quadratic(time: Integers, weights: Floats) -> Floats:
    """Return w' R w of weights of shape (n_blocks, n_series), shape (n_rho, n_series)."""
    total = np.zeros((len(RHO), weights.shape[1]))
    behind = np.zeros_like(total)
    before = time[0]
    for now, weight in zip(time, weights, strict=True):
        behind = RHO[:, None] ** (now - before) * behind + weight
        total += weight * (2 * behind - weight)
        before = now
    return total


def _filtered(
    time: Integers, mean: Floats, noise: Floats, effects: Floats, floor: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the weighted squares about the estimated mean, its information, and the log determinant.

    Each of shape (n_rho, n_series).
    """
    shape = effects.shape
    stationary = (1 - NUGGET) * effects
    spread, state, unit = stationary.copy(), np.zeros(shape), np.zeros(shape)
    squares, crossed, information, determinants = (np.zeros(shape) for _ in range(4))
    before = time[0]
    for now, value, error in zip(time, mean, noise, strict=True):
        decay = RHO[:, None] ** (now - before)
        state, unit = decay * state, decay * unit
        spread = decay**2 * spread + (1 - decay**2) * stationary
        whole = spread + NUGGET * effects + np.maximum(error, floor)
        ahead, ahead_unit = value - state, 1 - unit
        gain = spread / whole
        state, unit = state + gain * ahead, unit + gain * ahead_unit
        spread = spread * (1 - gain)
        squares += ahead**2 / whole
        crossed += ahead * ahead_unit / whole
        information += ahead_unit**2 / whole
        determinants += np.log(np.where(np.isfinite(whole), whole, 1.0))
        before = now
    return squares - crossed**2 / information, information, determinants
