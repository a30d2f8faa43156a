"""A task: what kind of thing is predicted, and how each part of the toolkit reads and measures it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.errors import TooFewRowsError, shown
from mlops.feature_types import CATEGORY, FeatureType
from mlops.feature_types.cells import code
from mlops.task_types.label_reading import read_labels
from mlops.task_types.losses import REGISTER
from mlops.task_types.predictions import Array, Predictions, positions, probabilities

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Task"]


class Task:
    """What is predicted. An instance holds nothing; there is one of each.

    The methods here are those of labels, each with its probability. A task of values, or any other of your
    own, defines what differs, and sets `has_classes`.
    """

    name: ClassVar[str]
    """The word for it in params.yaml and the bundle's schema.json."""
    noun: ClassVar[str]
    """What a model of it predicts, for people."""
    default_loss: ClassVar[str]
    """The loss it is measured by where `gate.metric` names none; one of `losses`."""
    has_classes: ClassVar[bool] = True
    """Whether it predicts labels with their probabilities (scores); else values."""
    most_classes: ClassVar[int | None] = None
    """How many labels there may be."""
    score_is_number: ClassVar[bool] = False
    """Whether a score is one number, or one per class."""
    watched_column: ClassVar[str] = "prediction"
    """Which column of the prediction log stands for the model in a drift report: `prediction` or `score`."""
    watched_type: ClassVar[FeatureType] = CATEGORY
    """As which feature type that column is watched."""
    target_type: ClassVar[FeatureType | None] = None
    """As which feature type the target is read; None for labels, which are of whatever type they are."""

    @property
    def losses(self) -> tuple[str, ...]:
        """What it can be measured by, its default first; costs are a project's, not a task's."""
        fitting = [
            loss.name for loss in REGISTER if loss.of_classes is self.has_classes and not loss.needs_costs
        ]
        return (self.default_loss, *(name for name in fitting if name != self.default_loss))

    def read_target(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a target column with one type: plain labels, or None where missing.

        Raises
        ------
        DataError
            Labels are fractions, or of several types.
        """
        return read_labels(column)

    def label_to_json(self, label: Any, target: str) -> str:
        """Write a label, not missing, as JSON, which keeps text, numbers and booleans apart."""
        del target
        return json.dumps(code(label))

    def is_label(self, label: Any, classes: Sequence[Any]) -> bool:
        """Tell whether a label can be one of a model that knows these."""
        return type(label) in {type(known) for known in classes}

    def classes(self, target: Array, name: str) -> list[Any] | None:
        """Return the labels in the rows to fit, in the order of the probabilities; None for values.

        Parameters
        ----------
        target
            Shape (n_rows,), none missing.
        name
            The target's.

        Raises
        ------
        TooFewRowsError
            There are too few, or too many, labels for the task.
        """
        import numpy as np

        classes: list[Any] = np.unique(target).tolist()
        if len(classes) >= 2 and (self.most_classes is None or len(classes) <= self.most_classes):
            return classes
        raise TooFewRowsError(
            f"The training rows have {len(classes)} distinct labels in {name} ({shown(classes)}); "
            f"a {self.name} model needs {'two or more' if self.most_classes is None else 'two'}.",
            remedy="Widen train.window, or correct model.task in params.yaml.",
        )

    def prior(self, target: Array, classes: Sequence[Any] | None) -> list[float] | float:
        """Return the baseline (constant prediction): each class's share, or the mean."""
        return [float((target == label).mean()) for label in classes or ()]

    def watched(self, predictions: Predictions) -> list[Any]:
        """Return the one column that stands for the model in a drift report."""
        scores = predictions.scores if self.watched_column == "score" else None
        return predictions.values if scores is None else scores

    def figures(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> dict[str, float]:
        """Return the figures people ask for beside the losses, by name.

        A figure that the rows don't define, such as a ROC area with one class, is left out.
        """
        from sklearn.metrics import f1_score

        known = list(classes or ())
        predicted = positions(predictions.values, known)
        macro = f1_score(positions(labels, known), predicted, average="macro", zero_division=0.0)
        return {"accuracy": self._accuracy(labels, predictions), "f1_macro": float(macro)}

    def skill_terms(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return labels and predictions as numbers, shape (n_rows, n): their covariance is the skill."""
        import numpy as np

        known = classes or ()
        actual = positions(labels, known)[:, None] == np.arange(1, len(known))
        return actual, probabilities(predictions, known)[:, 1:]

    def calibration(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return what was predicted and what was observed, shape (n_rows,).

        Of two labels the second's probability and whether it was; of more the likeliest's and whether it was.
        """
        import numpy as np

        if classes is not None and len(classes) == 2:
            return np.asarray(predictions.scores), np.array([label == classes[1] for label in labels], float)
        right = [float(guess == label) for guess, label in zip(predictions.values, labels, strict=True)]
        return np.asarray(predictions.scores).max(axis=1), np.array(right)

    def roc_terms(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
    ) -> tuple[Array, Array]:
        """Return what was so, as booleans, and its score, shape (n,); empty where there is no ROC curve.

        Of two labels whether it is the second; of more each label against the others (micro-average).
        """
        import numpy as np

        known = list(classes or ())
        positives = known[1:] if len(known) == 2 else known
        actual = np.array([[label == name for name in positives] for label in labels], dtype=bool)
        return actual.ravel(), np.asarray(predictions.scores, dtype=float).ravel()

    def prediction_schema(self, classes: Sequence[Any] | None) -> dict[str, Any]:
        """Return what a prediction is, in JSON Schema's words."""
        return {"enum": list(classes or ())}

    def score_schema(self, classes: Sequence[Any] | None) -> dict[str, Any]:
        """Return what a score is, in JSON Schema's words."""
        if classes is not None and len(classes) == 2:
            return {"type": "number", "description": f"The probability of {classes[1]!r}."}
        shares = {"type": "array", "items": {"type": "number"}}
        return {**shares, "description": f"The probability of each of {', '.join(map(repr, classes or ()))}."}

    def _accuracy(self, labels: Sequence[Any] | Array, predictions: Predictions) -> float:
        import numpy as np

        pairs = zip(predictions.values, labels, strict=True)
        return float(np.mean([guess == label for guess, label in pairs]))

    def __repr__(self) -> str:
        return f"<task {self.name}>"
