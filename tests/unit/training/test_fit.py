from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC

from mlops.errors import ConfigError, StageError, TooFewRowsError
from mlops.files import user_module
from mlops.schema import Schema
from mlops.training.fit import fit, load_builder

BINARY = Schema({"x": "number"}, "y", "binary")


@pytest.fixture
def rows() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=60)
    y = np.array([bool(value > 0) for value in x], dtype=object)
    y[:10] = None
    return pd.DataFrame({"x": x, "y": y, "unused": "text"})


def test_only_labelled_rows_and_features_are_fitted(rows: pd.DataFrame) -> None:
    done = fit(rows, BINARY, lambda params, schema: DummyClassifier(**params), {"strategy": "prior"}, seed=0)

    assert done.rows == 50
    assert done.estimator.feature_names_in_.tolist() == ["x"]
    assert done.classes == [False, True]
    assert done.prior == pytest.approx(done.estimator.class_prior_.tolist())


def test_a_seed_decides_and_nothing_outside_is_disturbed(rows: pd.DataFrame) -> None:
    def forest(params: dict[str, Any], schema: Schema) -> RandomForestClassifier:
        return RandomForestClassifier(n_estimators=3, max_depth=2)

    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    once, again, other = (
        fit(rows, BINARY, forest, {}, seed=seed).estimator.predict_proba(rows[["x"]]) for seed in (5, 5, 6)
    )

    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert (random.random(), np.random.random()) == expected


def test_a_number_that_no_row_has_yet_is_no_hindrance_and_decides_nothing(rows: pd.DataFrame) -> None:
    def boosting(params: dict[str, Any], schema: Schema) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(early_stopping=False, max_iter=2)

    wider = Schema({"x": "number", "new": "number"}, "y", "binary")
    asked = rows[["x"]].assign(new=np.arange(60.0))
    before, after = (
        fit(rows.assign(new=np.nan), schema, boosting, {}, seed=0).estimator.predict_proba(
            asked[list(schema.features)]
        )
        for schema in (BINARY, wider)
    )
    np.testing.assert_array_equal(before, after)


def test_a_label_of_one_row_is_named_where_a_model_fails(rows: pd.DataFrame) -> None:
    def boosting(params: dict[str, Any], schema: Schema) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(early_stopping=True, max_iter=2, **params)

    schema = Schema({"x": "number"}, "kind", "multiclass")
    kinds = rows.assign(kind=["odd", *["a", "b"] * 29, "a"])
    with pytest.raises(StageError, match="training rows have odd only once"):
        fit(kinds, schema, boosting, {}, seed=0)
    with pytest.raises(StageError) as raised:
        fit(kinds.iloc[1:], schema, boosting, {"loss": "none"}, seed=0)
    assert "one row" not in str(raised.value)


def test_a_regression_has_no_classes(rows: pd.DataFrame) -> None:
    schema = Schema({"x": "number"}, "x", "regression")
    done = fit(rows, schema, lambda params, schema: LinearRegression(), {}, seed=0)

    assert done.classes is None
    assert done.prior == pytest.approx(rows["x"].mean())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([None, None], "No training row has a label"),
        ([True, None], "have 1 distinct labels in y"),
        ([1, 2, 3], "have 3 distinct labels"),
    ],
)
def test_labels_that_cannot_be_learned_are_told(labels: list[object], message: str) -> None:
    frame = pd.DataFrame({"x": 1.0, "y": np.array(labels, dtype=object)})

    with pytest.raises(TooFewRowsError, match=message):
        fit(frame, BINARY, lambda params, schema: DummyClassifier(), {}, seed=0)


def test_what_the_estimator_says_is_told(rows: pd.DataFrame) -> None:
    def broken(params: dict[str, Any], schema: Schema) -> Any:
        raise ValueError("no such algorithm")

    with pytest.raises(StageError, match="ValueError: no such algorithm"):
        fit(rows, BINARY, broken, {}, seed=0)
    with pytest.raises(StageError, match="LinearSVC has no predict_proba"):
        fit(rows, BINARY, lambda params, schema: LinearSVC(), {}, seed=0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"import nothing_like_it", "No module named"),
        (b"x = 1", r"build\(params, schema\).*functions fit, save, load, predict .* has neither"),
        (b"fit = save = predict = print", "lacks load"),
        (b"build = fit = save = load = predict = print", "has both"),
    ],
)
def test_a_module_that_builds_nothing_is_refused(source: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_builder(source, "models/x/model.py")


def test_a_module_s_own_functions_get_numbered_classes_and_the_seed(rows: pd.DataFrame) -> None:
    source = b"""
def fit(params, schema, features, target, seed):
    return params, list(features), target.tolist(), seed
save = load = predict = print
"""
    labelled = rows.assign(y=[None, *["ripe", "green"] * 29, "ripe"])
    done = fit(labelled, BINARY, load_builder(source, "model.py"), {"rounds": 2}, seed=5)

    params, columns, target, seed = done.estimator
    assert (params, columns, seed) == ({"rounds": 2}, ["x"], 5)
    assert target == [*[1, 0] * 29, 1]
    assert done.classes == ["green", "ripe"]


def test_two_versions_of_a_module_live_side_by_side() -> None:
    one = user_module.load(b"class Model: version = 1", "model.py")
    two = user_module.load(b"class Model: version = 2", "model.py")

    assert (one.Model.version, two.Model.version) == (1, 2)
    assert user_module.load(b"class Model: version = 1", "elsewhere.py") is one
    assert one.Model.__module__ == user_module.name(b"class Model: version = 1")
