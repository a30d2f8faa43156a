"""Drift statistics: how far two samples of a column lie apart, and the register that a project may add to.

All are computed on counts of distinct values, many pairs of samples at once: what chance alone does is
estimated from thousands of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from mlops.feature_types import FeatureType
from mlops.register import Register
from mlops.stats import robust

__all__ = [
    "JENSEN_SHANNON",
    "REGISTER",
    "WASSERSTEIN",
    "Floats",
    "Statistic",
    "find",
    "of",
    "register",
    "title",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """A distance of two samples of one column.

    Parameters
    ----------
    name
        What a feature type's `statistic` calls it.
    title
        What people call it.
    function
        ``function(support, reference, current)``: `support`, shape (n_distinct,), holds the distinct values,
        or their numbers where `is_ordered` is false; the others, shape (n, n_distinct), rows of shares that
        add up to 1. Returns shape (n,), each row's distance, at least 0.
    is_ordered
        Whether the values are numbers whose distance from one another matters; else any names.
    scale
        ``scale(support, counts)``: what `support` becomes before anything is compared, by the values that the
        reference has; it stays where None.
    """

    name: str
    title: str
    function: Callable[[Floats, Floats, Floats], Floats]
    is_ordered: bool = False
    scale: Callable[[Floats, Floats], Floats] | None = None

    def scaled(self, support: Floats, counts: Floats) -> Floats:
        """Return the distinct values as they are compared, by how often the reference has each."""
        return support if self.scale is None else self.scale(support, counts)


def _wasserstein(support: Floats, old: Floats, new: Floats) -> Floats:
    """The area between two distribution functions."""
    return np.asarray(np.abs(np.cumsum(old - new, axis=1)[:, :-1]) @ np.diff(support))


def _jensen_shannon(_: Floats, old: Floats, new: Floats) -> Floats:
    """The square root of the Jensen-Shannon divergence (Lin 1991), natural logarithm."""
    middle = (old + new) / 2
    divergence = (rel_entr(old, middle) + rel_entr(new, middle)).sum(axis=1) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


WASSERSTEIN = Statistic(
    "wasserstein", "Wasserstein distance (robust)", _wasserstein, is_ordered=True, scale=robust.scaled
)
JENSEN_SHANNON = Statistic("jensenshannon", "Jensen-Shannon distance", _jensen_shannon)
REGISTER: Register[Statistic] = Register("statistic", WASSERSTEIN, JENSEN_SHANNON)
register, find = REGISTER.register, REGISTER.find


def of(type: FeatureType) -> Statistic:
    """Return the statistic of a feature type that is watched."""
    assert type.statistic is not None, f"a column of type {type.name} is not watched"
    return find(type.statistic)


def title(type: FeatureType) -> str:
    """Return what is measured of a column of this type, for people."""
    what = f" of the number of {type.axis_title}" if type.axis_title else ""
    return f"{of(type).title}{what}"
