"""The interval of a mean over rows whose blocks, and neighbouring blocks, resemble each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops.errors import DataError, TooFewRowsError
from mlops.stats.mixed_model import Blocks, dependent, independent

__all__ = ["Interval", "mean_interval"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MOST = 128
"""Blocks of time beyond this number are joined to longer ones, which bounds the matrices."""


@dataclass(frozen=True)
class Interval:
    """A mean over rows, and its bounds.

    Parameters
    ----------
    autocorrelation
        Of the means of neighbouring blocks, as estimated; 0 where blocks have no order.
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

    Student's t over blocks, widened by the dependence of neighbouring blocks: `mlops.stats.mixed_model` has
    the formula and its sources. A change of the level within the rows looks like dependence. Where rows
    come from folds, each fold has its own mean. One block alone gives a point.

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
        One fold where none are named, or where blocks have no order.

    Raises
    ------
    TooFewRowsError
        No value.
    DataError
        The shapes differ, or a value is not finite.
    """
    rows, numbers = np.asarray(values, float), np.asarray(blocks, np.int64)
    fold = np.asarray(np.zeros(rows.shape) if folds is None or not ordered else folds, np.int64)
    _check(rows, numbers, fold)
    units = Blocks.of(rows, numbers, fold)
    mean, count = float(rows.mean()), len(np.unique(units.time))
    if ordered and count > _MOST:
        units = Blocks.of(rows, _joined(numbers, units.time), fold)
    if units.freedom < 1:
        units = Blocks.of(rows, numbers, np.zeros_like(fold))
    if units.freedom < 1 or not units.vary:
        return Interval(mean, mean, mean, rows.size, count)
    spread = dependent(units) if ordered else independent(units)
    half = spread.half_width(confidence)
    return Interval(mean, mean - half, mean + half, rows.size, count, spread.autocorrelation)


def _joined(numbers: Integers, times: Integers) -> Integers:
    """Number blocks of which each is 2, 4, 8, … as long, few enough."""
    first, length = times.min(), 1
    while len(np.unique((times - first) // length)) > _MOST:
        length *= 2
    return np.asarray((numbers - first) // length)


def _check(rows: Floats, numbers: Integers, folds: Integers) -> None:
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
