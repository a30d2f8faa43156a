"""Which label is predicted of probabilities where labels are not equally dear.

A leaf that the serving image carries: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops.errors import ConfigError, shown
from mlops.task_types.predictions import Array, Predictions, positions, probabilities

__all__ = ["BINARY_COSTS", "FORMAT", "Decision"]

BINARY_COSTS = ("false_positive", "false_negative")
FORMAT = 1
"""Of a rule as the model's description bears it."""


@dataclass(frozen=True)
class Decision:
    """The rule that makes a label of probabilities: a threshold, or what each error costs.

    Of two labels the second is predicted from the threshold on; by costs that is
    cost_fp / (cost_fp + cost_fn). Of more the one with the least expected cost is predicted (Elkan 2001,
    The Foundations of Cost-Sensitive Learning, IJCAI).

    Parameters
    ----------
    threshold
        Of the second label's probability.
    costs
        As params.yaml has them: ``false_positive`` and ``false_negative``; of more labels per label
        what it costs to miss it, a number or one for each label that is predicted in its place. What is not
        named costs 1, a right prediction nothing.
    """

    threshold: float | None = None
    costs: Mapping[Any, Any] | None = None

    @classmethod
    def of(cls, threshold: float | None, costs: Mapping[Any, Any] | None) -> Decision | None:
        """Return the rule that params.yaml asks for; None where it asks for none."""
        return None if threshold is None and costs is None else cls(threshold, costs)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Decision | None:
        """Return what `to_json` wrote; None for None."""
        if value is None:
            return None
        costs: dict[Any, Any] | None = None
        for label, predicted, cost in value["costs"] or ():
            costs = costs or {}
            if predicted is None:
                costs[label] = cost
            else:
                costs.setdefault(label, {})[predicted] = cost
        return cls(value["threshold"], costs)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value: labels keep their type, as the keys of an object would not."""
        costs = None if self.costs is None else [list(one) for one in _listed(self.costs)]
        return {"format": FORMAT, "threshold": self.threshold, "costs": costs}

    @property
    def cut(self) -> float:
        """The threshold of the second of two labels."""
        if self.threshold is not None:
            return self.threshold
        positive, negative = (float((self.costs or {}).get(name, 1.0)) for name in BINARY_COSTS)
        return positive / (positive + negative)

    def matrix(self, classes: Sequence[Any]) -> Array:
        """Return what a prediction costs: shape (n_classes, n_classes), by label and by what is predicted."""
        import numpy as np

        costs = self.costs or {}
        size = len(classes)
        matrix = np.ones((size, size)) - np.eye(size)
        if set(costs) & set(BINARY_COSTS):
            matrix[0, 1], matrix[1, 0] = (float(costs.get(name, 1.0)) for name in BINARY_COSTS)
            return matrix
        for label, predicted, cost in _listed(costs):
            row = positions([label], classes)[0]
            columns = range(size) if predicted is None else positions([predicted], classes)
            for column in columns:
                if row >= 0 and column >= 0 and row != column:
                    matrix[row, column] = cost
        return matrix

    def decide(self, predictions: Predictions, classes: Sequence[Any] | None) -> Predictions:
        """Return the predictions with the labels that this rule makes of their scores."""
        import numpy as np

        if classes is None or predictions.scores is None or not len(predictions):
            return predictions
        if self.threshold is not None or set(self.costs or {}) & set(BINARY_COSTS):
            second = np.asarray(predictions.scores, dtype=float) >= self.cut
            chosen = second.astype(int)
        else:
            chosen = (probabilities(predictions, classes) @ self.matrix(classes)).argmin(axis=1)
        return Predictions([classes[place] for place in chosen.tolist()], predictions.scores)

    def losses(
        self, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any]
    ) -> Array:
        """Return what each prediction cost, shape (n_rows,); a label that no fit knew costs the most."""
        import numpy as np

        matrix = self.matrix(classes)
        actual, predicted = positions(labels, classes), positions(predictions.values, classes)
        known = (actual >= 0) & (predicted >= 0)
        return np.where(known, matrix[actual, predicted], matrix.max())

    def check_labels(self, known: Sequence[Any]) -> None:
        """Make sure that costs name labels of the table.

        Raises
        ------
        ConfigError
            One is none.
        """
        if self.costs is None or set(self.costs) & set(BINARY_COSTS):
            return
        named = [label for row in _listed(self.costs) for label in row[:2] if label is not None]
        for label in named:
            if not any(label == other and type(label) is type(other) for other in known):
                raise ConfigError("model.costs", value=label, allowed=f"labels of the table: {shown(known)}")

    def __str__(self) -> str:
        if self.costs is None:
            return f"threshold {self.threshold:g}"
        return "costs " + ", ".join(
            f"{label} {cost:g}" if predicted is None else f"{label} as {predicted} {cost:g}"
            for label, predicted, cost in _listed(self.costs)
        )


def _listed(costs: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, float]]:
    """Yield label, what is predicted (None for any other), and the cost."""
    for label, cost in costs.items():
        if isinstance(cost, Mapping):
            for predicted, each in cost.items():
                yield label, predicted, float(each)
        else:
            yield label, None, float(cost)
