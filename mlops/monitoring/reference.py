"""The reference of a model: the rows, and the predictions, that served ones are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlops.evaluation.metrics import loss_names, losses, mean_losses
from mlops.feature_types.cells import spelled
from mlops.monitoring.quality import LossAtTraining, loss_at_training
from mlops.stats.blocks import blocks_of
from mlops.stats.change_point import last_change
from mlops.tables.sampling import spaced

if TYPE_CHECKING:
    import pandas as pd

    from mlops.config.params import TrainParams
    from mlops.schema import Schema
    from mlops.training.out_of_fold import OutOfFold

__all__ = ["MIN_BLOCKS", "MIN_ROWS", "Reference", "newest_folds", "newest_regime", "reference_of"]

MIN_BLOCKS = 10
"""Blocks of time from which what they differ by can be estimated."""
MIN_ROWS = 500
"""Rows that a reference needs, where there are as many."""
_UNITS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))
_ALPHA = 0.01
_MIN_EFFECT = 0.1
"""Of the ranks, which lie between 0 and 1, or of a category's share: a smaller step blinds no threshold."""
_CATEGORIES = 10
_MOST_ROWS = 20_000


@dataclass(frozen=True)
class Reference:
    """What a model's served rows are compared with.

    Parameters
    ----------
    features
        Rows that the model was fitted on, of the newest regime: over a step in the middle of the reference
        its own days differ by the step, and no window would.
    predictions
        Out-of-fold predictions of the newest folds: of what it was fitted on the model is surer, and beside
        that the same data would have drifted.
    loss, baseline
        Each loss of the task, out of fold on the newest folds: of the recipe with its error, and the mean of
        the constant prediction.
    rows
        How many rows these rest on.
    importances
        By feature, what the recipe uses of it, see `OutOfFold`.
    """

    features: pd.DataFrame
    predictions: pd.DataFrame
    loss: Mapping[str, LossAtTraining]
    baseline: Mapping[str, float]
    rows: int
    importances: Mapping[str, float]


def reference_of(
    fitted: pd.DataFrame, scored: pd.DataFrame, out_of_fold: OutOfFold, schema: Schema, rule: TrainParams
) -> Reference:
    """Choose the reference of a model from what it was fitted on and what the folds predicted.

    Neither `gate` nor `monitor` of params.yaml has a say: a change of theirs makes no other model.

    Parameters
    ----------
    fitted
        The rows of the refit.
    scored
        The rows that `out_of_fold` predicts, in their order.
    """
    block = _block(rule.holdout)
    times = blocks_of(fitted, schema, block) if schema.time else None
    regime = fitted[newest_regime(fitted, schema, times)]
    days = blocks_of(scored, schema, block)
    newest = newest_folds(out_of_fold.fold, days)
    unseen, predicted = scored[newest], out_of_fold.take(newest)
    labels, classes = unseen[schema.target].tolist(), predicted.classes
    predictions = _watched(unseen, schema=schema).assign(
        prediction=schema.task_type.watched(predicted.predictions)
    )
    return Reference(
        _watched(regime.iloc[spaced(len(regime), most=_MOST_ROWS)], *schema.features, schema=schema),
        predictions.iloc[spaced(len(unseen), most=_MOST_ROWS)],
        {
            name: loss_at_training(
                losses(name, labels, predicted.predictions, classes, predicted.decision),
                days[newest],
                ordered=schema.time is not None,
            )
            for name in loss_names(schema.task, predicted.decision)
        },
        mean_losses(schema.task, labels, predicted.baseline, classes, predicted.decision),
        len(unseen),
        {name: value if isfinite(value) else 0.0 for name, value in out_of_fold.importances.items()},
    )


def _watched(rows: pd.DataFrame, *names: str, schema: Schema) -> pd.DataFrame:
    return rows[list(dict.fromkeys([*names, *([schema.time] if schema.time else [])]))]


def _block(holdout: timedelta) -> timedelta:
    """Return the block of time that a reference is cut by: the day where `holdout` has ten, else the hour."""
    return next((unit for unit in _UNITS if holdout >= MIN_BLOCKS * unit), _UNITS[-1])


def newest_folds(
    folds: NDArray[np.int64],
    blocks: NDArray[np.int64],
    *,
    min_rows: int = MIN_ROWS,
    min_blocks: int = MIN_BLOCKS,
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
    rows: pd.DataFrame, schema: Schema, blocks: NDArray[np.int64] | None, *, min_rows: int = MIN_ROWS
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
