"""What a model predicts of rows: a label or a value each.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Array", "Predictions", "constant", "from_array", "positions", "probabilities"]

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Predictions:
    """The predictions of some rows, in their order, as plain values ready for JSON.

    Parameters
    ----------
    values
        The likeliest label, or the value where the task is regression.
    scores
        Per row the probability of the second class (binary) or of each class (multiclass);
        None where the task is regression.
    """

    values: list[Any]
    scores: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def finite(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each row whether its prediction is a finite number; null is none."""
        import numpy as np

        numbers = np.array(self.values if self.scores is None else self.scores, dtype=float)
        known = np.isfinite(numbers)
        return np.asarray(known if known.ndim == 1 else known.all(axis=1))


def from_array(values: np.ndarray[Any, Any], classes: Sequence[Any] | None) -> Predictions:
    """Turn what a model computed into predictions.

    Parameters
    ----------
    values
        Shape (n, len(classes)): probabilities; or shape (n,): values where `classes` is None.
    """
    if classes is None:
        return Predictions(values.tolist())
    best = values.argmax(axis=1).tolist()
    scores = values[:, 1] if len(classes) == 2 else values
    return Predictions([classes[i] for i in best], scores.tolist())


def constant(prior: Sequence[float] | float, classes: Sequence[Any] | None, rows: int) -> Predictions:
    """Return the baseline (constant prediction) for some rows.

    Parameters
    ----------
    prior
        The classes' shares among the fitted rows, or the mean where `classes` is None.
    """
    import numpy as np

    row = np.asarray(prior, dtype=float)
    return from_array(np.broadcast_to(row, (rows, *row.shape)), classes)


def positions(labels: Sequence[Any] | Array, classes: Sequence[Any]) -> Array:
    """Return each label's place among the classes, -1 for one that is none, shape (n_rows,)."""
    import numpy as np

    order = {label: position for position, label in enumerate(classes)}
    return np.array([order.get(label, -1) for label in labels], dtype=int)


def probabilities(predictions: Predictions, classes: Sequence[Any]) -> Array:
    """Return each class's probability, shape (n_rows, n_classes)."""
    import numpy as np

    scores = np.asarray(predictions.scores, dtype=float)
    return np.column_stack([1.0 - scores, scores]) if len(classes) == 2 else scores
