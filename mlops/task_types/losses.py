"""Losses: how wrong one prediction is, and the register that a project may add to.

A loss must be a mean over rows: the gate averages blocks of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops.register import Register
from mlops.task_types.predictions import Predictions, positions, probabilities

if TYPE_CHECKING:
    import numpy as np

__all__ = ["REGISTER", "Loss", "find", "register"]

_Array: TypeAlias = "np.ndarray[Any, Any]"
LossFunction: TypeAlias = "Callable[[Sequence[Any] | _Array, Predictions, Sequence[Any] | None], _Array]"

_SURE = 1e-15  # a probability of zero would cost infinitely much, and one row would decide


@dataclass(frozen=True)
class Loss:
    """A loss of a row; less is better.

    Parameters
    ----------
    name
        What `gate.metric` calls it.
    title
        What a sentence calls it.
    function
        ``function(labels, predictions, classes)``: the labels or values, none missing; the predictions; the
        labels in the order of the probabilities, or None. Returns shape (n_rows,), finite.
    of_classes
        Whether it measures labels and their probabilities; else values. It suits the tasks that predict such.
    needs_costs
        Whether it is what ``model.costs`` makes of a prediction: see `Decision.losses`.
    """

    name: str
    title: str
    function: LossFunction
    of_classes: bool
    needs_costs: bool = False


def _log_loss(
    labels: Sequence[Any] | _Array, predictions: Predictions, classes: Sequence[Any] | None
) -> _Array:
    """The negative logarithm of the true class's probability."""
    import numpy as np

    return np.asarray(-np.log(np.clip(_label_probability(labels, predictions, classes or ()), _SURE, 1.0)))


def _brier(labels: Sequence[Any] | _Array, predictions: Predictions, classes: Sequence[Any] | None) -> _Array:
    """The squared distance of the probabilities from the outcome (Brier 1950).

    With two classes of the positive one alone, in [0, 1].
    """
    import numpy as np

    probability_of_label = _label_probability(labels, predictions, classes or ())
    if len(classes or ()) == 2:
        return np.asarray((1.0 - probability_of_label) ** 2)
    # The sum over classes of (p - y)², with the true class's term set right.
    probability = probabilities(predictions, classes or ())
    return np.asarray(
        (probability**2).sum(axis=1) - probability_of_label**2 + (1.0 - probability_of_label) ** 2
    )


def _zero_one(labels: Sequence[Any] | _Array, predictions: Predictions, _: Sequence[Any] | None) -> _Array:
    """Whether the label is wrong."""
    import numpy as np

    return np.array([guess != label for guess, label in zip(predictions.values, labels, strict=True)], float)


def _squared_error(
    labels: Sequence[Any] | _Array, predictions: Predictions, _: Sequence[Any] | None
) -> _Array:
    import numpy as np

    return np.asarray(_error(labels, predictions) ** 2)


def _absolute_error(
    labels: Sequence[Any] | _Array, predictions: Predictions, _: Sequence[Any] | None
) -> _Array:
    import numpy as np

    return np.asarray(np.abs(_error(labels, predictions)))


def _error(labels: Sequence[Any] | _Array, predictions: Predictions) -> _Array:
    import numpy as np

    return np.asarray(np.asarray(predictions.values, dtype=float) - np.asarray(labels, dtype=float))


def _label_probability(
    labels: Sequence[Any] | _Array, predictions: Predictions, classes: Sequence[Any]
) -> _Array:
    """The probability of each row's label; 0 for one that the model does not know."""
    import numpy as np

    position, probability = positions(labels, classes), probabilities(predictions, classes)
    return np.asarray(np.where(position >= 0, probability[np.arange(len(position)), position], 0.0))


REGISTER: Register[Loss] = Register(
    "gate.metric",
    Loss("log_loss", "log loss", _log_loss, of_classes=True),
    Loss("brier", "Brier score", _brier, of_classes=True),
    Loss("zero_one", "error rate", _zero_one, of_classes=True),
    Loss("cost", "cost", _zero_one, of_classes=True, needs_costs=True),
    Loss("squared_error", "squared error", _squared_error, of_classes=False),
    Loss("absolute_error", "absolute error", _absolute_error, of_classes=False),
)
register, find = REGISTER.register, REGISTER.find
