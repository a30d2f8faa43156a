from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.config.params import TrainParams
from mlops.errors import TooFewRowsError
from mlops.schema import Schema
from mlops.training import out_of_fold
from mlops.training.out_of_fold import Recipe, backtest
from mlops.training.plan import Plan, plan

SOURCE = b"""
from sklearn.linear_model import LogisticRegression, Ridge

def build(params, schema):
    return Ridge() if schema.task == "regression" else LogisticRegression(**params)
"""
RECIPE = Recipe(SOURCE, "models/plums/model.py", {}, 0)
START = pd.Timestamp("2026-01-01", tz="UTC")


def planned(task: str, labels: list[object], *, x: np.ndarray | None = None) -> tuple[Plan, Schema]:
    schema = Schema({"x": "number"}, "y", task, time="at")
    n = len(labels)
    values = np.arange(n) % 7 / 7 if x is None else x
    at = [START + pd.Timedelta(hours=hour) for hour in range(n)]
    rows = pd.DataFrame({"x": values, "y": labels, "at": at})
    rule = TrainParams.model_validate({"window": "30d", "holdout": "3d", "gap": "6h", "folds": 3})
    return plan(rows, schema, rule), schema


def test_the_newest_fold_has_learnt_what_the_oldest_has_not() -> None:
    # The rule turns two days before the end of twelve.
    rng = np.random.default_rng(0)
    x = rng.normal(size=24 * 12)
    turned = np.arange(len(x)) >= 24 * 10
    labels = list((x > 0) ^ turned)
    made, schema = planned("binary", labels, x=x)
    schema_rows = made.scored
    result, newest = backtest(made, schema, Recipe(SOURCE, "m.py", {"C": 100.0}, 0))
    losses = result.losses("log_loss", schema_rows["y"].tolist())
    by_fold = [losses[result.fold == number].mean() for number in (0, 1, 2)]
    assert by_fold[1] > by_fold[0]  # its rows are of the new rule, what it fitted is not
    assert by_fold[2] < by_fold[1]  # it has fitted a day of the new rule
    assert newest.rows == len(made.folds[-1].fitted)


def test_it_knows_what_the_newest_fold_uses_of_each_feature() -> None:
    x = np.random.default_rng(0).normal(size=24 * 12)
    made, schema = planned("binary", list(x > 0), x=x)
    result, _ = backtest(made, schema, RECIPE)
    assert set(result.importances) == set(schema.features)
    assert next(iter(result.importances)) == "x"
    assert result.importances["x"] > 0.1
    assert result.take(np.array([0])).importances == result.importances


def test_each_row_is_predicted_by_a_fit_that_did_not_see_it() -> None:
    made, schema = planned("regression", [float(i) for i in range(24 * 8)])
    result, _ = backtest(made, schema, RECIPE)
    assert len(result.predictions) == len(result.fold) == len(made.scored)
    assert result.classes is None
    for fold, fitted, scored in made.parts():
        constant = np.array(result.baseline.values)[result.fold == fold.number]
        assert np.allclose(constant, fitted["y"].mean())
        assert len(constant) == len(scored)


def test_a_label_that_a_fold_did_not_know_has_probability_zero_there() -> None:
    labels = ["a", "b"] * (12 * 7) + ["a", "b", "c"] * 8  # c comes on the last day
    made, schema = planned("multiclass", labels)
    result, _ = backtest(made, schema, RECIPE)
    assert result.classes == ["a", "b"]  # no fold has fitted it
    later, schema = planned("multiclass", [*labels, *["a", "b", "c"] * 16])
    result, _ = backtest(later, schema, RECIPE)
    assert result.classes == ["a", "b", "c"]
    scores = np.array(result.predictions.scores)
    assert (scores[result.fold == 0][:, 2] == 0).all()
    assert (scores[result.fold == 2][:, 2] > 0).all()
    assert np.allclose(scores.sum(axis=1), 1.0)


def test_a_fold_that_cannot_be_fitted_is_named_with_its_dates() -> None:
    made, schema = planned("binary", [*[True] * (24 * 6), *[True, False] * 36])
    with pytest.raises(TooFewRowsError, match=r"Fold 1 \(2025-12-07 to 2026-01-06, 137 rows\): .*1 distinct"):
        backtest(made, schema, RECIPE)


def test_folds_in_processes_of_their_own_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=24 * 8)
    made, schema = planned("binary", list(x + rng.normal(size=len(x)) > 0), x=x)
    one, _ = backtest(made, schema, RECIPE)
    monkeypatch.setattr(out_of_fold, "_WORTH_A_PROCESS", 0.0)
    monkeypatch.setattr(out_of_fold, "_cores", lambda: 2)
    other, _ = backtest(made, schema, RECIPE)
    assert other.predictions == one.predictions
    assert other.baseline == one.baseline


def test_rows_can_be_taken_from_it() -> None:
    made, schema = planned("binary", [True, False] * (12 * 8))
    result, _ = backtest(made, schema, RECIPE)
    newest = result.take(result.fold == 2)
    assert set(newest.fold) == {2}
    assert newest.predictions.values == result.predictions.values[-len(newest.fold) :]
