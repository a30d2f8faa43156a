"""Block means as a linear mixed model, whose neighbouring blocks resemble each other.

A row's value is the mean of its fold, the effect of its block, and noise of its own (Laird and Ware,
Biometrics 1982). Effects of blocks of time are a first-order autoregression: those of blocks `lag` apart
correlate by ``rho ** lag``, gaps counted. Effects of keys are independent. Block means then have the
covariance ``C = tau2 * R(rho) + s2 / n``. `s2`, the noise, is the variance of rows within blocks; `tau2`, the
variance of effects, is what the means vary beyond the noise, given `rho`.

- Given `rho`, the mean over rows has Student's t with as many degrees of freedom as blocks less folds. Its
  variance is ``w' C w``, with `w` the blocks' shares of the rows, scaled so that the residuals fit `C`. With
  independent blocks of equal size that is the textbook's ``s ** 2 / m``.
- `rho` is not known, and few blocks say little about it. The spread is the mixture over all `rho`, as in
  Zellner and Tiao (JASA 1964), each weighted by its prior and by its restricted likelihood (Patterson and
  Thompson, Biometrika 1971): that takes no difference between folds for dependence, and has little of the
  bias of estimates from few blocks (Cheang and Reinsel, JASA 2000). A single estimate of `rho` is too low
  in half of all cases, and the interval then too narrow.
- The prior gives independence a chance of 0.3, and otherwise `rho` a density in proportion to
  ``(1 - rho) ** 0.75``, from 0 to 0.95. It was chosen by trials: the nearer to even, the fewer equals are
  promoted and the less a gain is noticed. `benchmarks/gate_trials.py` measures both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

__all__ = ["NUGGET", "PRIOR", "RHO", "Blocks", "Spread", "dependent", "independent"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RHO = np.linspace(0, 0.95, 20)
PRIOR = (1 - RHO) ** 0.75
PRIOR = 0.7 * PRIOR / PRIOR.sum() + np.where(RHO == 0, 0.3, 0)
_FARTHEST = 256
"""Blocks as far apart, or farther, are independent."""
NUGGET = 0.01
"""The share of an effect that no other block has: one day may lie in two folds, twice the same block."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Blocks:
    """The blocks of each fold, in order.

    Parameters
    ----------
    time, fold, size, mean
        Shape (n_blocks,): the block's number, its fold, its rows and their mean.
    noise
        Shape (n_blocks,): the variance of its mean that comes of its rows.
    """

    time: Integers
    fold: Integers
    size: Floats
    mean: Floats
    noise: Floats

    @classmethod
    def of(cls, rows: Floats, numbers: Integers, folds: Integers) -> Blocks:
        """Return the blocks of rows with these block and fold numbers."""
        first, oldest = numbers.min(), folds.min()
        code = (folds - oldest) * (numbers.max() - first + 1) + (numbers - first)
        _, where, member = np.unique(code, return_index=True, return_inverse=True)
        size = np.bincount(member).astype(float)
        mean = np.bincount(member, weights=rows) / size
        within = float(((rows - mean[member]) ** 2).sum()) / max(1, rows.size - size.size)
        return cls(numbers[where], folds[where] - oldest, size, mean, within / size)

    @property
    def freedom(self) -> int:
        """Degrees of freedom: a mean is taken out of each fold."""
        return self.size.size - len(np.unique(self.fold))

    @property
    def residuals(self) -> Floats:
        """The means, less their fold's."""
        total, number = np.bincount(self.fold, weights=self.mean), np.bincount(self.fold)
        return np.asarray(self.mean - (total / np.maximum(number, 1))[self.fold])

    @property
    def vary(self) -> bool:
        """Whether the means differ by more than rounding."""
        return bool(np.abs(self.residuals).max() > _ROUNDING * np.abs(self.mean).max())


@dataclass(frozen=True)
class Spread:
    """A mixture of Student's t.

    Parameters
    ----------
    weights, errors
        Shape (n,): of each t, its weight and its standard error.
    """

    weights: Floats
    errors: Floats
    freedom: int
    autocorrelation: float

    def half_width(self, confidence: float) -> float:
        """Return how far from the mean each tail has half of what the confidence leaves."""
        bounds = stdtrit(self.freedom, (1 + confidence) / 2) * self.errors
        low, high = float(bounds.min()), float(bounds.max())
        while high - low > _ROUNDING * high:
            middle = (low + high) / 2
            tail = self.weights @ stdtr(self.freedom, -middle / self.errors)
            low, high = (middle, high) if tail > (1 - confidence) / 2 else (low, middle)
        return high


def independent(blocks: Blocks) -> Spread:
    """Return the spread with R the identity, without a matrix: keys may be many."""
    count = blocks.size.size
    effects = ((blocks.residuals**2).sum() - blocks.noise.sum() * (1 - 1 / count)) / blocks.freedom
    covariance = max(effects, 0.0) + blocks.noise
    precise = (blocks.mean / covariance).sum() / (1 / covariance).sum()
    scale = ((blocks.mean - precise) ** 2 / covariance).sum() / blocks.freedom
    share = blocks.size / blocks.size.sum()
    error = np.sqrt(scale * (share**2 * covariance).sum())
    return Spread(np.ones(1), np.atleast_1d(error), blocks.freedom, 0.0)


def dependent(blocks: Blocks) -> Spread:
    """Return the spread over all rho."""
    count, freedom = blocks.size.size, blocks.freedom
    apart = np.minimum(np.abs(blocks.time[:, None] - blocks.time), _FARTHEST)
    correlation = (RHO[:, None] ** np.arange(apart.max() + 1.0))[:, apart]
    correlation = (1 - NUGGET) * correlation + NUGGET * np.eye(count)
    folds = (blocks.fold[:, None] == np.unique(blocks.fold)).astype(float)
    centring = np.eye(count) - folds / folds.sum(axis=0) @ folds.T

    beyond_noise = (blocks.residuals**2).sum() - (np.diag(centring) * blocks.noise).sum()
    effects = max(beyond_noise, 0.0) / (correlation @ centring).trace(axis1=1, axis2=2)
    covariance = effects[:, None, None] * correlation + np.diag(blocks.noise)

    inverse = np.linalg.inv(covariance)
    by_fold = inverse @ folds
    information = folds.T @ by_fold
    projection = inverse - by_fold @ np.linalg.solve(information, by_fold.transpose(0, 2, 1))
    squares = (projection @ blocks.mean) @ blocks.mean
    determinants = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1]
    likelihood = -(determinants + freedom * np.log(squares)) / 2
    weights = PRIOR * np.exp(likelihood - likelihood.max())
    weights /= weights.sum()

    share = blocks.size / blocks.size.sum()
    errors = np.sqrt(squares / freedom * (share @ covariance @ share))
    neighbours = effects * RHO / (effects + blocks.noise.mean())
    return Spread(weights, errors, freedom, float(weights @ neighbours))
