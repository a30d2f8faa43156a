from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import ConfigError, DataError
from mlops.evaluation.metrics import loss_names, losses
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Predictions, from_array

BINARY = [False, True]
SKY = ["fog", "rain", "sun"]


def of_scores(*scores: float) -> Predictions:
    return from_array(np.column_stack([1 - np.array(scores), scores]), BINARY)


def test_the_second_label_is_predicted_from_the_threshold_on() -> None:
    decided = Decision(threshold=0.2).decide(of_scores(0.1, 0.2, 0.4, 0.9), BINARY)
    assert decided.values == [False, True, True, True]
    assert decided.scores == [0.1, 0.2, 0.4, 0.9]


def test_costs_of_two_labels_are_a_threshold() -> None:
    rule = Decision(costs={"false_positive": 1, "false_negative": 4})
    assert rule.cut == pytest.approx(0.2)
    assert Decision(costs={"false_negative": 4}).cut == rule.cut
    assert rule.decide(of_scores(0.19, 0.21), BINARY).values == [False, True]


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20), st.floats(0.01, 100), st.floats(0.01, 100))
def test_no_other_labels_have_a_lesser_expected_cost(
    scores: list[float], positive: float, negative: float
) -> None:
    rule = Decision(costs={"false_positive": positive, "false_negative": negative})
    p, matrix = np.array(scores), rule.matrix(BINARY)
    chosen = np.array(rule.decide(of_scores(*scores), BINARY).values, dtype=int)
    expected = np.column_stack([p * matrix[1, 0], (1 - p) * matrix[0, 1]])
    assert np.all(expected[np.arange(len(p)), chosen] <= expected.min(axis=1) * (1 + 1e-9))


def test_of_more_labels_the_one_with_the_least_expected_cost_is_predicted() -> None:
    table = np.array([[0.2, 0.3, 0.5], [0.05, 0.05, 0.9]])
    likeliest = from_array(table, SKY)
    assert likeliest.values == ["sun", "sun"]
    assert Decision(costs={"fog": 5}).decide(likeliest, SKY).values == ["fog", "sun"]
    assert Decision(costs={"rain": {"sun": 4}}).decide(likeliest, SKY).values == ["rain", "sun"]
    assert Decision(costs={"hail": 9}).decide(likeliest, SKY) == likeliest  # a label that no fit knew


def test_a_loss_is_what_the_prediction_cost() -> None:
    rule = Decision(costs={"rain": {"sun": 4}, "fog": 2})
    made = Predictions(["sun", "fog", "sun", "rain"], [[0.0, 0.0, 1.0]] * 4)
    cost = losses("cost", ["rain", "rain", "sun", "fog"], made, SKY, rule)
    assert cost.tolist() == [4.0, 1.0, 0.0, 2.0]
    assert loss_names("multiclass", rule)[-1] == "cost"
    assert "cost" not in loss_names("multiclass", None)
    assert "cost" not in loss_names("binary", Decision(threshold=0.2))
    with pytest.raises(DataError, match=r"Set model\.costs"):
        losses("cost", ["rain"], Predictions(["sun"], [[0.0, 0.0, 1.0]]), SKY)


def test_a_label_that_is_not_in_the_table_is_named() -> None:
    Decision(costs={"fog": 2}).check_labels(SKY)
    Decision(costs={"false_positive": 2}).check_labels(BINARY)
    for costs in ({"hail": 2}, {"fog": {"hail": 2}}, {1: 2.0}):
        with pytest.raises(ConfigError, match=r"model\.costs: got .* labels of the table: fog, rain, sun"):
            Decision(costs=costs).check_labels(SKY)


@pytest.mark.parametrize(
    "rule",
    [Decision(threshold=0.2), Decision(costs={"false_positive": 1, "false_negative": 5}),
     Decision(costs={3: {1: 2.0}, True: 4.0, "3": 5.0})],
)  # fmt: skip
def test_a_rule_is_read_back_from_json_with_the_labels_types(rule: Decision) -> None:
    again = Decision.from_json(json.loads(json.dumps(rule.to_json())))
    assert again == rule
    assert [type(label) for label in again.costs or ()] == [type(label) for label in rule.costs or ()]
    assert Decision.from_json(None) is None
