"""Leakage: a column that gives the target away, as what is only known after the fact.

A model of one column that is nearly always right is too good to be true more often than it is
true. It is for a person to say: the column is named, not dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.schema import Schema
from mlops.tables.conform import columns_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["suspects"]

_SUSPICIOUS = 0.99
"""The share of the error of the baseline (constant prediction) that a suspect removes."""
_LEAST = 50
_LEAVES = 256
_KNOWN = 0.5
"""Of a column that is judged by its values, so much of the error must be in rows of values known by then."""
_MOST = 1e30
"""A tree adds numbers up in single precision, which ends at 3e38."""


def suspects(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """Return the features that alone nearly determine the target, on rows that were not fitted.

    Each predicts by what its value meant in every other row, and, where it is a number or a date,
    what a small decision tree of its own predicts; it is judged on the rest.

    Parameters
    ----------
    frame
        As `dataset.conform` leaves it; rows without a label are left out. Some thousand rows do.

    Returns
    -------
    list
        In the schema's order; empty where there are too few rows to say.
    """
    known = frame[frame[schema.target].notna()]
    if len(known) < _LEAST:
        return []
    regression = not schema.task_type.has_classes
    target = known[schema.target].to_numpy() if regression else _codes(known[schema.target])
    columns = columns_of(known, schema)

    def error_removed(feature: str) -> float:
        parts = schema.parts(feature)
        if feature in schema.texts:
            return _error_removed_by_values(_codes(columns[feature]), target, regression=regression)
        numbers = np.column_stack([np.clip(columns[part], -_MOST, _MOST) for part in parts])
        by_tree = _error_removed_by_tree(numbers, target, regression=regression)
        if len(parts) > 1:
            return by_tree
        return max(by_tree, _error_removed_by_values(_codes(columns[feature]), target, regression=regression))

    return [name for name in schema.features if error_removed(name) >= _SUSPICIOUS]


_FITTED, _JUDGED = slice(0, None, 2), slice(1, None, 2)


def _error_removed_by_tree(features: NDArray[Any], target: NDArray[Any], *, regression: bool) -> float:
    """Return the share of a constant's error that a tree of these columns takes away, at most 1."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if regression:
        tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, random_state=0)
    else:
        tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, class_weight="balanced", random_state=0)
    predicted = tree.fit(features[_FITTED], target[_FITTED]).predict(features[_JUDGED])
    constant, actual = _constant(target, regression=regression), target[_JUDGED]
    worst = _error(actual, constant, regression=regression)
    return 1 - _error(actual, predicted, regression=regression) / worst if worst else 0.0


def _error_removed_by_values(codes: NDArray[Any], target: NDArray[Any], *, regression: bool) -> float:
    """Return the same of what each value meant in the fitted rows: the mean, or the most frequent label.

    Only rows whose value was there can be judged; 0 where those are few, as of an id.
    """
    fitted, actual, size = codes[_FITTED], target[_JUDGED], int(codes.max()) + 1
    count = np.bincount(fitted, minlength=size)
    if regression:
        predicted = np.bincount(fitted, target[_FITTED], size) / np.maximum(count, 1)
    else:
        counts = np.zeros((size, int(target.max()) + 1), dtype=np.int32)
        np.add.at(counts, (fitted, target[_FITTED]), 1)
        predicted = counts.argmax(axis=1)
    judged = codes[_JUDGED]
    known, constant = count[judged] > 0, _constant(target, regression=regression)
    worst = _error(actual[known], constant, regression=regression)
    if not worst or worst < _KNOWN * _error(actual, constant, regression=regression):
        return 0.0
    return 1 - _error(actual[known], predicted[judged[known]], regression=regression) / worst


def _constant(target: NDArray[Any], *, regression: bool) -> Any:
    return target[_FITTED].mean() if regression else np.bincount(target[_FITTED]).argmax()


def _error(actual: NDArray[Any], predicted: Any, *, regression: bool) -> float:
    """Return the sum of squares, or the number of wrong labels."""
    return float(((actual - predicted) ** 2).sum() if regression else (actual != predicted).sum())


def _codes(values: Any) -> NDArray[np.intp]:
    array = np.asarray(values)
    spelled = array if array.dtype.kind in "biuf" else np.asarray([str(value) for value in values])
    return np.unique(spelled, return_inverse=True)[1]
