"""The reference of a model: the rows, and the predictions, that served ones are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlops.feature_types.cells import spelled
from mlops.stats.change_point import last_change

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["MIN_BLOCKS", "newest_folds", "newest_regime"]

MIN_BLOCKS = 10
"""Blocks of time from which what they differ by can be estimated."""
_ALPHA = 0.01
_MIN_EFFECT = 0.1
"""Of the ranks, which lie between 0 and 1, or of a category's share: a smaller step blinds no threshold."""
_CATEGORIES = 10


def newest_folds(
    folds: NDArray[np.int64], blocks: NDArray[np.int64], *, min_rows: int, min_blocks: int = MIN_BLOCKS
) -> NDArray[np.bool_]:
    """Choose the rows of the newest folds that together have enough rows and blocks; all where none have.

    Parameters
    ----------
    folds, blocks
        Shape (n_rows,): the fold that scored each row, and its block of time.
    """
    chosen = np.zeros(len(folds), bool)
    for number in sorted(set(folds.tolist()), reverse=True):
        chosen |= folds == number
        if chosen.sum() >= min_rows and len(np.unique(blocks[chosen])) >= min_blocks:
            break
    return chosen


def newest_regime(
    rows: pd.DataFrame, schema: Schema, blocks: NDArray[np.int64] | None, *, min_rows: int
) -> NDArray[np.bool_]:
    """Choose the rows since a feature's distribution changed last.

    Parameters
    ----------
    blocks
        Shape (n_rows,): each row's block of time; None without a time column, where all rows are chosen.
    min_rows
        No regime is shorter: the end of the table that holds as many, and `MIN_BLOCKS` blocks.
    """
    if blocks is None or len(rows) == 0:
        return np.ones(len(rows), bool)
    names, member = np.unique(blocks, return_inverse=True)
    sizes = np.bincount(member)
    behind = np.cumsum(sizes[::-1])
    enough = int(np.searchsorted(behind, min_rows)) + 1
    tail = max(MIN_BLOCKS, enough)
    columns = [
        column for name, type in schema.types.items() if type.statistic for column in _coded(rows[name])
    ]
    if not columns or len(names) < 2 * tail:
        return np.ones(len(rows), bool)
    means = np.column_stack([np.bincount(member, weights=column) / sizes for column in columns])
    since = last_change(means, alpha=_ALPHA, min_effect=_MIN_EFFECT, min_tail=tail)
    return np.asarray(member >= since)


def _coded(column: pd.Series[float]) -> Iterable[NDArray[np.float64]]:
    """Yield numbers whose mean per block shows a change: ranks of a number, shares of a category."""
    import pandas as pd

    missing = column.isna().to_numpy()
    if missing.any():
        yield np.asarray(missing, float)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        yield np.asarray(column.rank(pct=True).fillna(0.5), float)
        return
    cells = column.map(spelled, na_action="ignore")
    for value in cells.value_counts().index[:_CATEGORIES]:
        yield np.asarray(cells == value, float)
