from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.files import yaml
from mlops.scaffold.candidates import FOLDS, TrialPlan, untried
from mlops.scaffold.model_choice import ModelChoice, Trial, choose, ranked
from mlops.scaffold.template import proposed_builder
from mlops.schema import Schema
from mlops.tables.conform import conform
from mlops.training.fit import fit

DAY = timedelta(days=1)
TIMELESS = Schema({"x": "number", "z": "number", "shop": "category"}, "y", "binary")
SIZE: dict[str, Any] = {"numbers": 10, "width": 50, "outputs": 1}


@cache
def built() -> Any:
    return proposed_builder()


def table(rows: int, *, bent: bool) -> pd.DataFrame:
    """Return rows whose label follows a straight line, or a distance that no line tells."""
    rng = np.random.default_rng(rows)
    x, z = rng.normal(size=rows), rng.normal(size=rows)
    signal = 4 * (abs(x) - 0.7) if bent else 2 * x - z
    y = (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(object)
    return pd.DataFrame({"x": x, "z": z, "shop": rng.choice(["a", "b"], rows), "y": y})


def chosen(frame: pd.DataFrame, schema: Schema = TIMELESS, **more: Any) -> ModelChoice:
    return choose(conform(frame, schema), schema, built(), gap=DAY, **{"seconds": 0.5, **more})


def test_a_straight_line_is_left_to_a_linear_model_and_a_distance_to_trees() -> None:
    straight, bent = chosen(table(400, bent=False)), chosen(table(800, bent=True))
    assert straight.params["algorithm"] == "linear"
    assert (bent.params["algorithm"], bent.params["early_stopping"]) == ("boosting", False)
    for choice in (straight, bent):
        figures = [trial.loss for trial in choice.trials]
        assert figures == sorted(figures)
        assert choice.params == choice.trials[0].params
        assert choice.baseline is not None
        assert figures[0] < choice.baseline


def test_the_same_table_gives_the_same_proposal_however_fast_the_machine_is() -> None:
    def ticks(step: float) -> Iterator[float]:
        now = 0.0
        while True:
            yield (now := now + step)

    fast, slow = (chosen(table(200, bent=True), clock=ticks(step).__next__) for step in (0.0, 0.5))
    assert fast == slow
    stopped = chosen(table(200, bent=True), clock=ticks(2.0).__next__)
    assert 0 < len(stopped.trials) < len(fast.trials)
    assert "this machine is slow" in stopped.notes[0]


def test_each_fewer_number_of_trees_is_measured_as_a_fit_of_its_own_would_be() -> None:
    choice = chosen(table(800, bent=True))
    frame = conform(table(800, bent=True), TIMELESS)
    one = fit(frame, TIMELESS, built(), choice.params, seed=0).estimator[-1]
    more = fit(frame, TIMELESS, built(), {**choice.params, "max_iter": 90}, seed=0).estimator[-1]
    rows = np.random.default_rng(0).normal(size=(50, one.n_features_in_))
    staged = [values for _, values in zip(range(one.n_iter_), more.staged_predict_proba(rows), strict=False)]
    assert np.array_equal(staged[-1], one.predict_proba(rows))


def test_by_time_the_newest_rows_are_predicted_from_those_before() -> None:
    frame = table(600, bent=False).assign(at=pd.date_range("2024-01-01", periods=600, freq="h", tz="UTC"))
    schema = Schema({"x": "number", "z": "number"}, "y", "binary", "at")
    choice = chosen(frame, schema)
    assert (choice.rows, choice.folds) == (300, 3)
    assert chosen(frame.drop(columns="at"), seconds=3.0).rows == 600


def test_a_linear_model_is_chosen_where_boosting_is_less_than_a_standard_error_better() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 400)
    linear = Trial({"algorithm": "linear"}, 0.5, np.full(400, 0.5))
    other = Trial({"algorithm": "linear"}, 0.6, np.full(400, 0.6))

    def boosting(gain: float) -> Trial:
        losses = 0.5 - gain + noise - noise.mean()
        return Trial({"algorithm": "boosting"}, float(losses.mean()), losses)

    slight, clear = boosting(0.004), boosting(0.006)  # the standard error is 0.005
    assert ranked([other, slight, linear]) == [linear, slight, other]
    assert ranked([other, clear, linear]) == [clear, linear, other]
    assert ranked([clear]) == [clear]
    best = ModelChoice(linear.params, ranked([slight, linear]), 1.0, "log loss", 400, 5)
    assert best.reason.startswith("simplest within a standard error of the best of 2 tried")


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_each_task_is_tried(task: str) -> None:
    frame = table(300, bent=False)
    frame["y"] = frame["x"] * 2 if task == "regression" else np.digitize(frame["x"], [-1, 1]).astype(object)
    choice = chosen(frame, Schema({"x": "number", "z": "number"}, "y", task))
    assert ("alpha" if task == "regression" else "C") in {name for t in choice.trials for name in t.params}
    assert len({trial.params["algorithm"] for trial in choice.trials}) == 2


def test_a_label_of_a_single_row_does_not_stop_the_trials() -> None:
    frame = table(200, bent=False)
    frame.loc[7, "y"] = "odd"
    frame["y"] = frame["y"].map(str).astype(object)
    schema = Schema({"x": "number", "z": "number"}, "y", "multiclass")
    choice = chosen(frame, schema)
    assert len(choice.trials) > 5
    for trial in choice.trials:
        assert fit(conform(frame, schema), schema, built(), trial.params, seed=0).rows == 200


@pytest.mark.parametrize(
    ("frame", "seconds", "reason"),
    [
        (table(200, bent=False), 0.0, "init was asked not to"),
        (table(20, bent=False), 2.0, "20 rows with a label are too few"),
        (table(200, bent=False).assign(y=True), 2.0, "no fold has two labels"),
    ],
)
def test_where_nothing_can_be_tried_few_trees_are_proposed_and_why(
    frame: pd.DataFrame, seconds: float, reason: str
) -> None:
    choice = chosen(frame, seconds=seconds)
    assert choice.params == untried(len(frame))
    assert choice.params["max_iter"] == 40
    assert choice.reason.startswith("not tried: ")
    assert reason in choice.reason


def test_a_large_table_is_tried_on_fewer_rows_and_a_longer_time_on_more() -> None:
    small = TrialPlan.of_size(1000, seconds=30, **SIZE)
    large = TrialPlan.of_size(10_000_000, seconds=10, **SIZE)
    longer = TrialPlan.of_size(10_000_000, seconds=300, **SIZE)
    assert small.rows == 1000
    assert large.rows < longer.rows <= 20_000
    wide = TrialPlan.of_size(10_000_000, seconds=300, **{**SIZE, "width": 10_000})
    assert wide.rows * 10_000 <= 2_000_000
    hundred = TrialPlan.of_size(5000, seconds=30, **{**SIZE, "outputs": 100})
    assert len(hundred.candidates) < len(small.candidates)
    assert FOLDS * max(max(each.trees) for each in hundred.candidates) * 100 * 1e-3 < 30


def test_what_is_proposed_is_read_back_from_a_comment_on_one_line() -> None:
    choice = chosen(table(100, bent=False))
    assert "\n" not in choice.reason
    assert yaml.parse(f"a: 1  # {choice.reason}", file="") == {"a": 1}
