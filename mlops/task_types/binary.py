"""The task `binary`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops.feature_types import NUMBER
from mlops.task_types.predictions import Array, Predictions, positions
from mlops.task_types.task_type import Task

__all__ = ["Binary"]


class Binary(Task):
    """One of two labels; the score is the probability of the second."""

    name = "binary"
    noun = "binary label"
    default_loss = "log_loss"
    most_classes = 2
    score_is_number = True
    watched_column = "score"
    watched_type = NUMBER

    def is_label(self, label: Any, classes: Sequence[Any]) -> bool:
        """Tell whether a label is one of the two."""
        return super().is_label(label, classes) and label in classes

    def figures(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> dict[str, float]:
        """Return accuracy, and the areas under the ROC and the precision-recall curve."""
        from sklearn.metrics import average_precision_score, roc_auc_score

        positive = positions(labels, classes or ()) == 1
        figures = {"accuracy": self._accuracy(labels, predictions)}
        if positive.any() and not positive.all():
            figures["roc_auc"] = float(roc_auc_score(positive, predictions.scores))
            figures["average_precision"] = float(average_precision_score(positive, predictions.scores))
        return figures
