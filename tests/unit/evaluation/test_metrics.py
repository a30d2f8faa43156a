from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from mlops import task_types
from mlops.errors import DataError
from mlops.evaluation.metrics import losses, mean_losses, report, skill
from mlops.task_types.predictions import Predictions, constant, from_array

THREE = ["a", "b", "c"]


def three(rows: int = 50) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(3)
    return random.choice(THREE, rows).tolist(), random.dirichlet([1, 1, 1], rows)


def test_binary_losses_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    labels, scores = (random.random(200) > 0.4).tolist(), random.random(200)
    answers = from_array(np.column_stack([1 - scores, scores]), [False, True])
    found = report("binary", labels, answers, [False, True])

    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, scores))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(labels, scores))
    assert found["zero_one"] == pytest.approx(1 - metrics.accuracy_score(labels, scores > 0.5))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(labels, scores))


def test_multiclass_losses_are_scikit_learns() -> None:
    labels, probability = three()
    answers = from_array(probability, THREE)
    found = report("multiclass", labels, answers, THREE)
    hot = np.array([[label == name for name in THREE] for label in labels])

    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, probability, labels=THREE))
    assert found["brier"] == pytest.approx(((probability - hot) ** 2).sum(axis=1).mean())
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(labels, answers.values, average="macro"))


def test_regression_figures_are_scikit_learns() -> None:
    labels, values = [1.0, 2.0, 4.0], [1.5, 2.0, 3.0]
    found = report("regression", labels, Predictions(values), None)

    assert found["mae"] == found["absolute_error"] == pytest.approx(0.5)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(labels, values))
    assert found["r2"] == pytest.approx(metrics.r2_score(labels, values))


def test_certainty_that_was_wrong_costs_much_but_not_infinitely() -> None:
    sure = Predictions([True], [1.0])

    assert losses("log_loss", [False], sure, [False, True])[0] == pytest.approx(34.54, abs=0.01)


@pytest.mark.parametrize(("classes", "scores"), [(["a", "b"], 0.3), (THREE, [0.2, 0.3, 0.5])])
def test_a_class_the_model_never_met_had_probability_zero(classes: list[str], scores: object) -> None:
    answers = Predictions(["a"], [scores])

    assert losses("log_loss", ["new"], answers, classes)[0] > 30
    assert losses("brier", ["new"], answers, classes)[0] >= 1.0
    assert losses("zero_one", ["new"], answers, classes)[0] == 1.0


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_row_without_a_label_has_no_loss(missing: object) -> None:
    with pytest.raises(DataError, match="1 of 2 rows have no label"):
        losses("zero_one", [True, missing], Predictions([True, True], [0.9, 0.9]), [False, True])


@pytest.mark.parametrize(
    ("metric", "classes", "task"),
    [
        ("log_loss", None, "regression"),
        ("squared_error", [0, 1], "binary"),
        ("absolute_error", THREE, "multi"),
    ],
)
def test_a_loss_of_another_task_is_refused(metric, classes, task: str) -> None:
    with pytest.raises(DataError, match=f"{metric} is no loss of a {task}"):
        losses(metric, [1], Predictions([1], None if classes is None else [0.5]), classes)


def test_figures_that_one_class_does_not_define_are_left_out() -> None:
    found = report("binary", [True, True], Predictions([True, False], [0.9, 0.2]), [False, True])

    assert "roc_auc" not in found
    assert found["accuracy"] == 0.5


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_prior_is_the_best_constant(labels: list[bool]) -> None:
    share = sum(labels) / len(labels)
    best = mean_losses(
        "binary", labels, constant([1 - share, share], [False, True], len(labels)), [False, True]
    )
    for other in (0.1, 0.5, 0.9):
        worse = constant([1 - other, other], [False, True], len(labels))
        assert best["log_loss"] <= mean_losses("binary", labels, worse, [False, True])["log_loss"] + 1e-12


def test_every_task_has_its_losses() -> None:
    labels, probability = three(5)
    assert set(mean_losses("multiclass", labels, from_array(probability, THREE), THREE)) == set(
        task_types.find("multiclass").losses
    )


def test_a_drift_report_sees_the_score_of_a_binary_model_and_the_label_of_others() -> None:
    binary = from_array(np.array([[0.25, 0.75]]), ["no", "yes"])
    multi = from_array(np.array([[0.2, 0.5, 0.3]]), THREE)

    assert (binary.values, binary.scores, task_types.BINARY.watched(binary)) == (["yes"], [0.75], [0.75])
    assert (multi.values, multi.scores, task_types.MULTICLASS.watched(multi)) == (
        ["b"],
        [[0.2, 0.5, 0.3]],
        ["b"],
    )
    assert constant(2.5, None, 2) == Predictions([2.5, 2.5])


def test_skill_is_the_covariance_of_answers_and_truth_whatever_their_level():
    labels, scores = [False, True, True, False], [0.1, 0.3, 0.2, 0.2]
    answers = Predictions([False] * 4, scores)
    covariance = np.cov(np.asarray(labels, float), scores, ddof=0)[0, 1]
    assert skill("binary", labels, answers, [False, True]).mean() == pytest.approx(covariance)
    shifted = Predictions([False] * 4, [score + 0.5 for score in scores])
    assert skill("binary", labels, shifted, [False, True]).mean() == pytest.approx(covariance)


def test_skill_of_a_constant_answer_is_zero():
    assert skill("regression", [1.0, 2.0, 4.0], Predictions([3.0, 3.0, 3.0]), None).mean() == 0
    same = Predictions(["a"] * 3, [[0.5, 0.3, 0.2]] * 3)
    assert skill("multiclass", ["a", "b", "c"], same, ["a", "b", "c"]).mean() == pytest.approx(0)


def test_skill_of_many_classes_is_summed_over_all_but_the_first():
    sure = Predictions(["a", "b", "c"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert skill("multiclass", ["a", "b", "c"], sure, ["a", "b", "c"]).mean() == pytest.approx(2 * 2 / 9)
