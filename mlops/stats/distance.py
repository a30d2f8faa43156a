"""How far two samples of a column lie apart.

Each column by the statistic of its feature type, see `mlops.stats.statistics`, with missing values left out;
`mlops.adapters.evidently` gives the same figures to 1e-6. `mlops.stats.chance` estimates how far they lie
apart by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mlops import feature_types
from mlops.stats import statistics
from mlops.stats.statistics import Floats, Statistic

__all__ = ["between", "compared", "distance_of", "distances", "prepared", "statistics_of", "tally"]


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
        for name, statistic in statistics_of(columns).items()
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def distance_of(statistic: Statistic, reference: pd.Series, current: pd.Series) -> float:
    """Return how far two samples of one column, both `prepared`, lie apart; NaN where one has no value."""
    side = np.repeat([0, 1], [len(reference), len(current)])
    support, counts = tally(pd.concat([reference, current]), side, 2, statistic)
    both = counts.toarray()
    if not both.sum(axis=1).all():
        return nan
    return float(compared(statistic, statistic.scaled(support, both[0]), both[:1], both[1:])[0])


def statistics_of(columns: Mapping[str, str]) -> dict[str, Statistic]:
    """Return the statistic of each column."""
    return {name: statistics.of(feature_types.find(type)) for name, type in columns.items()}


def tally(
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


def compared(statistic: Statistic, support: Floats, reference: Floats, current: Floats) -> Floats:
    """Return the distances of rows of counts, shape (n, n_distinct), each to its own partner."""
    old = reference / reference.sum(axis=1, keepdims=True)
    new = current / current.sum(axis=1, keepdims=True)
    return statistic.function(support, old, new)
