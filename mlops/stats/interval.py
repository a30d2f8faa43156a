"""The interval of a mean over rows whose blocks, and neighbouring blocks, resemble each other.

The mean over rows is a ratio of two sums over blocks (Cochran, "Sampling Techniques", 3rd ed. 1977, section
6.3): its variance is that of the blocks' sums of residuals ``u = n (x - mean)``. Neighbouring blocks of
time are taken for a first-order autoregression, whose correlation is ``rho ** lag``, gaps counted. Then,
with ``M`` the matrix that makes residuals of block means, ``R`` their correlations and ``w`` their shares
of the rows:

- ``rho`` is that at which the residuals' expected ratio ``E[sum(u_i u_(i+1))] / E[sum(u_i ** 2)]`` is the
  observed one. Residuals of few blocks have a smaller ratio than ``rho``; this corrects it for any sizes and
  gaps, as Marriott and Pope (Biometrika 1954) do for equal ones. A negative ``rho`` counts as 0.
- The variance is ``sum(u ** 2) * w' R w / trace(M R M')``: unbiased if ``rho`` is right; with independent
  blocks of equal size the textbook's ``s ** 2 / m``.
- The degrees of freedom of Student's t are ``trace(M R M') ** 2 / trace((M R M') ** 2)`` (Satterthwaite 1946,
  for sums of blocks Bell and McCaffrey, Survey Methodology 2002): ``m - 1`` for independent blocks of
  equal size, fewer the more they depend.

A change of the level within the rows looks like dependence. Where rows come from folds, each fold's residuals
are taken from its own mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from mlops.errors import DataError, TooFewRowsError

__all__ = ["Interval", "mean_interval"]

_RHO = np.linspace(0, 0.95, 96)
_MOST_BLOCKS = 400
"""More blocks of time are joined to longer ones, which bounds the matrices."""
_FARTHEST = 400
"""Blocks as far apart, or farther, are independent."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A mean over rows, and its bounds.

    Parameters
    ----------
    autocorrelation
        Between neighbouring blocks, as estimated; 0 where blocks have no order.
    """

    mean: float
    low: float
    high: float
    rows: int
    blocks: int
    autocorrelation: float = 0.0


def mean_interval(
    values: ArrayLike,
    blocks: ArrayLike,
    *,
    confidence: float,
    ordered: bool,
    folds: ArrayLike | None = None,
) -> Interval:
    """Bound the mean of `values`, whose blocks may depend on their neighbours.

    The module names the formula and its sources. One block alone gives a point.

    Parameters
    ----------
    values
        Shape (n_rows,).
    blocks
        Shape (n_rows,), whole numbers: the block of each row, see `mlops.stats.blocks.blocks_of`.
    confidence
        Of the two-sided interval, between 0 and 1.
    ordered
        Whether the numbers of the blocks are times, neighbours next to each other. Blocks of keys or of
        single rows are not: they are taken for independent.
    folds
        Shape (n_rows,): the fold of each row, whose own mean is taken out where dependence is estimated.
        One fold where none are named.

    Raises
    ------
    TooFewRowsError
        No value.
    DataError
        The shapes differ, or a value is not finite.
    """
    rows, numbers = np.asarray(values, float), np.asarray(blocks)
    fold = np.zeros(rows.shape, int) if folds is None else np.asarray(folds)
    _check(rows, numbers, fold)
    mean, count = float(rows.mean()), len(np.unique(numbers))
    if count < 2:
        return Interval(mean, mean, mean, rows.size, count)
    if ordered:
        rho, variance, freedom = _dependent(_Blocks.of(rows, *_joined(numbers, fold)))
    else:
        rho, (variance, freedom) = 0.0, _independent(_Blocks.of(rows, numbers, np.zeros_like(numbers)))
    half = float(stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance))
    return Interval(mean, mean - half, mean + half, rows.size, count, rho)


@dataclass(frozen=True)
class _Blocks:
    """The blocks of each fold, in order.

    Parameters
    ----------
    time, fold, size, mean
        Shape (n_blocks,): the block's number, its fold, its rows and their mean.
    """

    time: Integers
    fold: Integers
    size: Floats
    mean: Floats

    @classmethod
    def of(cls, rows: Floats, numbers: Integers, folds: Integers) -> _Blocks:
        first = numbers.min()
        code = folds * (numbers.max() - first + 1) + (numbers - first)
        _, where, member = np.unique(code, return_index=True, return_inverse=True)
        size = np.bincount(member).astype(float)
        return cls(numbers[where], folds[where], size, np.bincount(member, weights=rows) / size)


def _joined(numbers: Integers, folds: Integers) -> tuple[Integers, Integers]:
    """Return blocks few enough, and folds of which at least one has two."""
    while len(np.unique(numbers)) > _MOST_BLOCKS:
        numbers = numbers // 2
    _, folds = np.unique(folds, return_inverse=True)
    pairs = len({*zip(folds.tolist(), numbers.tolist(), strict=True)})
    return numbers, folds if pairs > folds.max() + 1 else np.zeros_like(folds)


def _independent(blocks: _Blocks) -> tuple[float, float]:
    """Return variance and degrees of freedom with R the identity, without a matrix: keys may be many."""
    n = blocks.size
    share = n / n.sum()
    residuals = n * (blocks.mean - share @ blocks.mean)
    q = (share**2).sum()
    trace = (n**2 * (1 - 2 * share + q)).sum()
    a, b, c = ((n**2 * share**power).sum() for power in (0, 1, 2))
    square = (n**4 * (1 + 2 * q - 4 * share)).sum() + (q * a) ** 2 - 4 * q * a * b + 2 * a * c + 2 * b**2
    return float((residuals**2).sum() * q / trace), float(trace**2 / square)


def _dependent(blocks: _Blocks) -> tuple[float, float, float]:
    """Return the autocorrelation, the variance and the degrees of freedom."""
    n, time, fold = blocks.size, blocks.time, blocks.fold
    same = fold[:, None] == fold
    shares = np.where(same, n, 0.0)
    made = n[:, None] * (np.eye(len(n)) - shares / shares.sum(axis=1, keepdims=True))
    lag = np.minimum(np.abs(time[:, None] - time), _FARTHEST)
    residuals = made @ blocks.mean
    rho = _autocorrelation(residuals, made, lag, fold)
    correlation = rho ** lag.astype(float)
    spread = made @ correlation @ made.T
    share, trace = n / n.sum(), np.trace(spread)
    variance = (residuals**2).sum() * (share @ correlation @ share) / trace
    return rho, float(variance), float(trace**2 / (spread**2).sum())


def _autocorrelation(residuals: Floats, made: Floats, lag: Integers, fold: Integers) -> float:
    following = fold[1:] == fold[:-1]
    square = float((residuals**2).sum())
    if not square or not following.any():
        return 0.0
    observed = float((residuals[:-1] * residuals[1:])[following].sum()) / square
    products = made[:-1][following].T @ made[1:][following]
    powers = _RHO[:, None] ** np.arange(_FARTHEST + 1)

    def expected(form: Floats) -> Floats:
        return powers @ np.bincount(lag.ravel(), weights=form.ravel(), minlength=_FARTHEST + 1)

    ratio = expected(products) / expected(made.T @ made)
    return float(np.interp(observed, np.maximum.accumulate(ratio), _RHO))


def _check(rows: Floats, numbers: NDArray[Any], folds: NDArray[Any]) -> None:
    if rows.size == 0:
        raise TooFewRowsError("There is no row to compare on.", remedy="Widen train.holdout in params.yaml.")
    if rows.ndim != 1 or rows.shape != numbers.shape or rows.shape != folds.shape:
        shapes = f"{rows.shape} values, {numbers.shape} blocks and {folds.shape} folds"
        raise DataError(f"{shapes} do not belong together.")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows))[0])
        raise DataError(
            f"Row {bad} has a loss that is not finite.",
            remedy="Check the prediction and the label of that row.",
        )
