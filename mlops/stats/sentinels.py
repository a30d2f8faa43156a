"""Sentinels: numbers that stand for something else, as 999 for "unknown".

A sentinel repeats exactly, lies far from every other value, and is a whole number or nines alone, as 99.99:
the rain of a storm, which all rows of its hour share, is neither. Two of them among thousands make a mean or
a standard deviation worthless. They count as missing where distributions are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlops.stats.robust import spread

__all__ = ["sentinels", "without"]

Floats = NDArray[np.float64]

_FAR = 10.0
"""Spreads between a sentinel and the median of the other values, at least."""
_APART = 0.5
"""How far a sentinel's nearest neighbour is from it, at least, in distances from the median: the largest
values of a heavy tail have neighbours."""
_TRIED = 4
"""Repeated values looked at from either end."""
_DISTINCT = 3
"""Other values needed at least: fewer have no scale."""


def sentinels(values: Floats, others: Floats | None = None) -> tuple[float, ...]:
    """Return the sentinels of a column, in order.

    Parameters
    ----------
    values
        Shape (n,): the column's values; NaN and infinities count nowhere.
    others
        Values of the same column that a sentinel must be far from as well, as those of a model's reference.

    Examples
    --------
    >>> import numpy as np
    >>> sentinels(np.append(np.random.default_rng(0).normal(size=5000), [999, 999]))
    (999.0,)
    """
    known = values[np.isfinite(values)]
    beside = np.empty(0) if others is None else others[np.isfinite(others)]
    support, counts = np.unique(np.concatenate([known, beside]), return_counts=True)
    repeated = np.isin(support, _repeated(known))
    found: list[int] = []
    for outward in (-1, 1):
        for place in np.flatnonzero(repeated)[::-outward][:_TRIED]:
            if place in found or not _is_code(float(support[place])):
                continue
            if _is_sentinel(support, counts, int(place), found, outward):
                found.append(int(place))
    return tuple(float(support[place]) for place in sorted(found))


def without(values: Floats, known: Sequence[float]) -> Floats:
    """Return the values with sentinels as NaN."""
    return np.where(np.isin(values, known), np.nan, values) if len(known) else values


def _repeated(values: Floats) -> Floats:
    support, counts = np.unique(values, return_counts=True)
    return np.asarray(support[counts > 1])


def _is_code(value: float) -> bool:
    return value.is_integer() or set(f"{abs(value):.6g}") <= set("9.")


def _is_sentinel(
    support: Floats, counts: NDArray[np.int64], place: int, found: Sequence[int], outward: int
) -> bool:
    """Return whether one distinct value is far from those on its inner side, and alone."""
    kept = np.ones(len(support), bool)
    kept[[place, *found]] = False
    inner = kept & ((support < support[place]) if outward > 0 else (support > support[place]))
    if inner.sum() < _DISTINCT:
        return False
    middle, width = spread(support[inner], counts[inner])
    away = abs(support[place] - middle)
    nearest = np.abs(support[kept] - support[place]).min()
    return bool(away > _FAR * width and nearest >= _APART * away)
