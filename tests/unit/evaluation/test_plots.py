from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops import task_types
from mlops.evaluation import plots
from mlops.task_types.multiclass import Multiclass
from mlops.task_types.predictions import Predictions

LABELS = [False, True]


def test_residuals_are_the_truth_less_what_was_predicted() -> None:
    table = plots.residuals("regression", [1.0, 2.0], Predictions([1.5, 1.0], None))
    assert table.to_dict("list") == {"predicted": [1.5, 1.0], "residual": [-0.5, 1.0]}


def test_residuals_of_many_rows_are_of_rows_from_the_first_to_the_last() -> None:
    said = [float(i) for i in range(10_000)]
    table = plots.residuals("regression", np.zeros(10_000), Predictions(said, None))
    assert len(table) == 2000
    assert (table["predicted"].iloc[0], table["predicted"].iloc[-1]) == (0.0, 9999.0)


def test_each_task_has_the_plots_that_tell_of_it() -> None:
    labels, values = Predictions([True, False], [0.9, 0.2]), Predictions([0.9, 0.2], None)
    for task, actual, predicted, classes, drawn in (
        ("binary", [True, False], labels, LABELS, [True, True, False]),
        ("regression", [1.0, 0.0], values, None, [False, False, True]),
    ):
        tables = (
            plots.roc(task, actual, predicted, classes),
            plots.confusion(task, actual, predicted),
            plots.residuals(task, actual, predicted),
        )
        assert [len(table) > 0 for table in tables] == drawn


class Grade(Multiclass):
    """One of several labels, of which the last alone is a success."""

    name = "grade"

    def roc_terms(self, labels: Any, predictions: Predictions, classes: Any) -> tuple[Any, Any]:
        return np.array([label == classes[-1] for label in labels]), np.array(predictions.scores)[:, -1]


def test_a_task_of_the_projects_own_says_what_its_curve_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task_types.REGISTER._things, "grade", Grade())
    predicted = Predictions(["c", "a", "b"], [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.2, 0.5, 0.3]])
    labels, classes = ["c", "a", "c"], ["a", "b", "c"]
    curve = plots.roc("grade", labels, predicted, classes)
    assert curve.to_dict("list") == {
        "false_positive_rate": [0.0, 0.0, 0.0, 1.0],
        "true_positive_rate": [0.0, 0.5, 1.0, 1.0],
    }
    assert len(plots.confusion("grade", labels, predicted)) == 3
