"""The task `regression`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops.errors import DataError
from mlops.feature_types import NUMBER
from mlops.task_types.predictions import Array, Predictions
from mlops.task_types.task_type import Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Regression"]


class Regression(Task):
    """A number."""

    name = "regression"
    noun = "value"
    default_loss = "squared_error"
    has_classes = False
    score_is_number = True
    watched_type = NUMBER
    target_type = NUMBER

    def read_target(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return values as float64, NaN where missing."""
        return NUMBER.read_column(column)

    def label_to_json(self, label: Any, target: str) -> str:
        """Write a finite number.

        Raises
        ------
        DataError
            It is none.
        """
        try:
            return json.dumps(float(label), allow_nan=False)
        except ValueError as exc:
            raise DataError(f"A label of {target} is not a finite number: {label!r}.") from exc

    def classes(self, target: Array, name: str) -> None:
        """Return nothing: there are no labels."""
        del target, name

    def prior(self, target: Array, classes: Sequence[Any] | None) -> float:
        """Return the mean."""
        del classes
        return float(target.mean())

    def figures(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> dict[str, float]:
        """Return mean absolute error, root of the mean squared error, and R²."""
        import numpy as np

        del classes
        values = np.asarray(labels, dtype=float)
        error = np.asarray(predictions.values, dtype=float) - values
        figures = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
        if spread := float(((values - values.mean()) ** 2).sum()):
            figures["r2"] = 1.0 - float((error**2).sum()) / spread
        return figures

    def skill_terms(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return labels and predictions themselves."""
        import numpy as np

        del classes
        return np.asarray(labels, dtype=float)[:, None], np.asarray(predictions.values, dtype=float)[:, None]

    def calibration(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return predictions and labels themselves."""
        import numpy as np

        del classes
        return np.asarray(predictions.values, dtype=float), np.asarray(labels, dtype=float)

    def roc_terms(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return nothing: a value is neither so nor not."""
        import numpy as np

        del labels, predictions, classes
        return np.zeros(0, dtype=bool), np.zeros(0)

    def prediction_schema(self, classes: Sequence[Any] | None) -> dict[str, Any]:
        """Return a number."""
        del classes
        return {"type": "number"}

    def score_schema(self, classes: Sequence[Any] | None) -> dict[str, Any]:
        """Return null: a value has no score."""
        del classes
        return {"type": "null"}
