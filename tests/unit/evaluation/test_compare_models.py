from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

import mlops
from mlops.config.params import GateParams
from mlops.errors import DataError, MissingColumnError, TooFewRowsError

SCHEMA = mlops.Schema({"size": "number"}, "ripe", "binary", "picked")
ROWS = 960
CHANCE = np.random.default_rng(0).uniform(size=ROWS)


@pytest.fixture
def rows() -> pd.DataFrame:
    picked = pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC")
    ripe = np.random.default_rng(1).random(ROWS) < CHANCE
    return pd.DataFrame({"picked": picked, "size": CHANCE, "ripe": ripe}, index=np.arange(ROWS) + 7)


def predicted(rows: pd.DataFrame, score: object) -> pd.DataFrame:
    frame = pd.DataFrame({"score": score}, index=rows.index)
    return frame.assign(prediction=frame["score"] > 0.5)


class Knows:
    """A model that predicts the chance itself; its labels are known."""

    classes = (False, True)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return predicted(frame, frame["size"])


def test_the_better_model_is_below_0_on_all_of_the_interval(rows):
    comparison = mlops.compare_models(predicted(rows, CHANCE), predicted(rows, 0.5), rows, SCHEMA)
    assert comparison.low < comparison.difference < comparison.high < 0
    assert (comparison.rows, comparison.blocks) == (ROWS, 40)
    turned = mlops.compare_models(predicted(rows, 0.5), predicted(rows, CHANCE), rows, SCHEMA)
    assert turned.difference == pytest.approx(-comparison.difference)


def test_the_losses_are_those_of_the_formula(rows):
    comparison = mlops.compare_models(predicted(rows, CHANCE), predicted(rows, 0.5), rows, SCHEMA)
    likely = np.where(rows["ripe"], CHANCE, 1 - CHANCE)
    assert comparison.loss == pytest.approx(-np.log(likely).mean())
    assert comparison.other_loss == pytest.approx(np.log(2))


def test_models_are_asked_for_the_rows_that_have_a_label(rows):
    some = rows.assign(ripe=rows["ripe"].astype(object).where(rows["size"] > 0.2, None))
    by_model = mlops.compare_models(Knows(), predicted(rows, 0.5), some, SCHEMA)
    by_frame = mlops.compare_models(predicted(rows, CHANCE), predicted(rows, 0.5), some, SCHEMA)
    assert by_model == by_frame
    assert by_model.rows == (rows["size"] > 0.2).sum()


def test_a_regression_is_compared_by_its_values():
    schema = mlops.Schema({"size": "number"}, "weight", "regression")
    rows = pd.DataFrame({"weight": [1.0, 2.0, 3.0, 4.0]})
    near, far = (pd.DataFrame({"prediction": rows["weight"] + error}) for error in (0.5, 2.0))
    comparison = mlops.compare_models(near, far, rows, schema, metric="absolute_error")
    assert (comparison.loss, comparison.other_loss, comparison.difference) == (0.5, 2.0, -1.5)


def test_three_classes_are_compared_by_their_probabilities():
    schema = mlops.Schema({"size": "number"}, "colour", "multiclass")
    rows = pd.DataFrame({"colour": ["blue", "red", "yellow"]})
    sure = pd.DataFrame({"prediction": rows["colour"], "score": np.eye(3).tolist()})
    even = pd.DataFrame({"prediction": "red", "score": [[1 / 3] * 3] * 3})
    comparison = mlops.compare_models(sure, even, rows, schema)
    assert (comparison.loss, comparison.other_loss) == (pytest.approx(0), pytest.approx(np.log(3)))


def test_predictions_of_other_rows_are_refused(rows):
    half = predicted(rows, 0.5)
    with pytest.raises(DataError, match="100 predictions for 960 rows"):
        mlops.compare_models(half.head(100), half, rows, SCHEMA)
    with pytest.raises(DataError, match="do not have the index of the rows"):
        mlops.compare_models(half.reset_index(drop=True), half, rows, SCHEMA)


def test_what_is_missing_is_named(rows):
    half = predicted(rows, 0.5)
    with pytest.raises(MissingColumnError, match=r"no column ripe.*whose label is known"):
        mlops.compare_models(half, half, rows.drop(columns="ripe"), SCHEMA)
    with pytest.raises(MissingColumnError, match=r"no column picked.*Blocks are made of it"):
        mlops.compare_models(half, half, rows.drop(columns="picked"), SCHEMA)
    with pytest.raises(
        MissingColumnError, match=r"The predictions has no column prediction|no column prediction"
    ):
        mlops.compare_models(half[["score"]], half, rows, SCHEMA)


def test_rows_of_one_label_do_not_say_which_is_positive(rows):
    ripe = rows.assign(ripe=True)
    with pytest.raises(DataError, match=r"classes=\[False, True\]"):
        mlops.compare_models(predicted(rows, CHANCE), predicted(rows, 0.5), ripe, SCHEMA)
    comparison = mlops.compare_models(
        predicted(rows, CHANCE), predicted(rows, 0.5), ripe, SCHEMA, classes=[False, True]
    )
    assert comparison == mlops.compare_models(Knows(), predicted(rows, 0.5), ripe, SCHEMA)


def test_rows_without_any_label_are_too_few(rows):
    half = predicted(rows, 0.5)
    with pytest.raises(TooFewRowsError, match="No row has a label"):
        mlops.compare_models(half, half, rows.assign(ripe=None), SCHEMA)


def test_the_settings_are_those_of_params_yaml():
    defaults, gate = inspect.signature(mlops.compare_models).parameters, GateParams()
    for name in ("block", "confidence"):
        assert defaults[name].default == getattr(gate, name), name
