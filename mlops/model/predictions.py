"""What a model says about rows: one answer each.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops.schema import Task

__all__ = ["Answers", "constant", "from_array"]


@dataclass(frozen=True)
class Answers:
    """The answers to some rows, in their order, as plain values ready for JSON.

    Parameters
    ----------
    predictions
        The likeliest label, or the value where the task is regression.
    scores
        Per row the probability of the second class (binary) or of each class (multiclass);
        None where the task is regression.
    """

    predictions: list[Any]
    scores: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.predictions)

    def finite(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tell of each row whether its answer is a number: NaN and infinities are none, nor is null."""
        numbers = np.array(self.predictions if self.scores is None else self.scores, dtype=float)
        known = np.isfinite(numbers)
        return np.asarray(known if known.ndim == 1 else known.all(axis=1))

    def signal(self, task: Task) -> list[Any]:
        """Return the one column that stands for the model in a drift report."""
        return self.scores if task == "binary" and self.scores is not None else self.predictions


def from_array(values: np.ndarray[Any, Any], classes: Sequence[Any] | None) -> Answers:
    """Turn what a model computed into answers.

    Parameters
    ----------
    values
        Shape (n, len(classes)): probabilities; or shape (n,): values where `classes` is None.
    """
    if classes is None:
        return Answers(values.tolist())
    best = values.argmax(axis=1).tolist()
    scores = values[:, 1] if len(classes) == 2 else values
    return Answers([classes[i] for i in best], scores.tolist())


def constant(prior: Sequence[float] | float, classes: Sequence[Any] | None, rows: int) -> Answers:
    """Answer every row alike: what a model that has seen no feature would say.

    Parameters
    ----------
    prior
        The classes' shares among the fitted rows, or the mean where `classes` is None.
    """
    row = np.asarray(prior, dtype=float)
    return from_array(np.broadcast_to(row, (rows, *row.shape)), classes)
