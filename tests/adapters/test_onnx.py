from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import load_model_from_string
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlops.adapters import onnx, skops
from mlops.files import hashing
from mlops.model.predictor import Compiled, Fitted
from mlops.rows import Columns
from mlops.schema import Schema
from mlops.task_types.predictions import Predictions

SCHEMA = Schema({"size": "number", "colour": "category", "wet": "boolean"}, "y", "binary")

PRINT_DIGESTS = """
from tests.adapters.test_onnx import digests
print(*digests())
"""


def frame(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    size = random.normal(size=rows)
    size[::7] = np.nan
    colour = random.choice(["red", "green", "", "blue"], rows).astype(object)
    wet = random.choice([0.0, 1.0, np.nan], rows)
    y = (np.nan_to_num(size) + (colour == "red") > 0.3) ^ (random.random(rows) < 0.1)
    return pd.DataFrame({"size": size, "colour": colour, "wet": wet, "y": y})


def hist() -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((codes, ["colour"]), ("passthrough", ["wet", "size"]))
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0))


@pytest.fixture
def rows() -> pd.DataFrame:
    return frame()


def columns_of(rows: pd.DataFrame, schema: Schema = SCHEMA) -> Columns:
    return Columns.of({name: rows[name].to_numpy() for name in schema.features}, schema)


def test_a_compiled_model_answers_as_the_original(rows: pd.DataFrame) -> None:
    model = hist().fit(rows[list(SCHEMA.features)], rows["y"])
    compilation = onnx.compile(model, SCHEMA, [False, True], columns_of(rows))
    unseen = columns_of(rows.assign(colour="never met").astype({"colour": object}))

    assert compilation.reason is None
    assert compilation.model is not None
    compiled = Compiled(compilation.model, [False, True]).predict(unseen)
    original = Fitted(model, SCHEMA, [False, True]).predict(unseen)
    assert compiled.values == original.values
    np.testing.assert_allclose(compiled.scores, original.scores, atol=1e-6)


def test_a_table_that_is_taken_as_a_whole_is_not_taken_apart(rows: pd.DataFrame) -> None:
    def operations(*numbers: str) -> list[str]:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        columns = make_column_transformer((codes, ["colour"]), ("passthrough", list(numbers)))
        model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=3, random_state=0))
        model.fit(rows[list(SCHEMA.features)], rows["y"])
        compilation = onnx.compile(model, SCHEMA, [False, True], columns_of(rows))
        assert compilation.model is not None, compilation.reason
        return [node.op_type for node in load_model_from_string(compilation.model).graph.node]

    # One column of text is a table of its own; the numbers are one where their order is the schema's.
    assert operations("size", "wet").count("Split") == operations("wet", "size").count("Split") - 1


def test_three_classes_compile_with_a_probability_each(rows: pd.DataFrame) -> None:
    schema = Schema({"size": "number"}, "y", "multiclass")
    filled = rows.fillna({"size": 0.0})
    target = np.where(filled["size"] > 0.5, "high", np.where(filled["size"] < -0.5, "low", "mid"))
    model = LogisticRegression().fit(filled[["size"]], target)
    classes = ["high", "low", "mid"]
    compilation = onnx.compile(model, schema, classes, columns_of(filled, schema))

    assert compilation.model is not None, compilation.reason
    answers = Compiled(compilation.model, classes).predict(columns_of(pd.DataFrame({"size": [2.0]}), schema))
    assert answers.values == ["high"]
    assert len(answers.scores[0]) == 3


def test_a_regression_compiles_to_values(rows: pd.DataFrame) -> None:
    schema = Schema({"size": "number", "wet": "boolean"}, "y", "regression")
    model = HistGradientBoostingRegressor(max_iter=5).fit(
        rows[["size", "wet"]], rows["size"].fillna(0) * 1000
    )
    compilation = onnx.compile(model, schema, None, columns_of(rows, schema))

    assert compilation.model is not None, compilation.reason
    one = columns_of(pd.DataFrame({"size": [0.1], "wet": [np.nan]}), schema)
    answers = Compiled(compilation.model, None).predict(one)
    assert answers.scores is None
    assert answers.values == pytest.approx(Fitted(model, schema, None).predict(one).values, rel=1e-5)


def test_a_model_that_compiles_wrongly_is_not_compiled() -> None:
    # float32 moves values that a scaler brought close to a tree's thresholds across them.
    random = np.random.default_rng(0)
    schema = Schema({"size": "number"}, "y", "binary")
    rows = pd.DataFrame({"size": 1e6 + random.integers(0, 1000, 2000) / 1e3})
    target = random.random(2000) < 0.5
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(rows, target)
    compilation = onnx.compile(model, schema, [False, True], columns_of(rows, schema))

    assert compilation.model is None
    assert "rows differently" in (compilation.reason or "")


def test_a_model_that_does_not_compile_keeps_its_reason(rows: pd.DataFrame) -> None:
    class Own(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Own:
            self.classes_ = np.unique(y)
            return self

    compilation = onnx.compile(Own().fit(rows[["size"]], rows["y"]), SCHEMA, [False, True], columns_of(rows))

    assert compilation.model is None
    assert (compilation.reason or "").startswith("it does not compile: ")


def test_names_are_as_the_table_spells_them(rows: pd.DataFrame) -> None:
    schema = Schema({"Größe (cm)": "number", "1. colour": "category", "numbers": "number"}, "y", "binary")
    renamed = rows.assign(**{"Größe (cm)": rows["size"], "1. colour": rows["colour"], "numbers": rows["wet"]})
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((codes, ["1. colour"]), ("passthrough", ["numbers", "Größe (cm)"]))
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=3))
    model.fit(renamed[list(schema.features)], renamed["y"])

    assert onnx.compile(model, schema, [False, True], columns_of(renamed, schema)).reason is None


def test_a_feature_that_the_model_drops_is_still_accepted(rows: pd.DataFrame) -> None:
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]))
    model = make_pipeline(encode, LogisticRegression()).fit(rows[list(SCHEMA.features)], rows["y"])
    compilation = onnx.compile(model, SCHEMA, [False, True], columns_of(rows))

    assert compilation.reason is None


@pytest.mark.parametrize(
    ("compiled", "said"),
    [
        (Predictions([True, False], [0.7, 0.30005]), None),
        (Predictions([True, False], [0.7, 0.31]), "predicts 1 of 2 rows differently, by up to 0.01"),
        (Predictions([True, False], [0.7, float("nan")]), "predicts 1 of 2 rows differently"),
        (Predictions([True, True], [0.7, 0.3]), "labels 1 of 2 rows differently"),
    ],
)
def test_parity_is_judged_row_by_row(compiled: Predictions, said: str | None) -> None:
    found = onnx.difference(Predictions([True, False], [0.7, 0.3]), compiled)

    assert found is None if said is None else said in (found or "")


def test_a_value_is_judged_relative_to_its_size() -> None:
    assert onnx.difference(Predictions([1e6, 0.0]), Predictions([1e6 + 50, 0.0])) is None
    assert onnx.difference(Predictions([1e6, 0.0]), Predictions([1e6, 0.001])) is not None


def digests() -> list[str]:
    rows = frame()
    model = hist().fit(rows[list(SCHEMA.features)], rows["y"])
    forest = RandomForestClassifier(n_estimators=2, random_state=0).fit(rows[["size"]].fillna(0), rows["y"])
    compiled = onnx.compile(model, SCHEMA, [False, True], columns_of(rows)).model
    assert compiled is not None
    return [hashing.of_bytes(data) for data in (compiled, skops.dumps(model), skops.dumps(forest))]


def test_another_process_writes_the_same_bytes() -> None:
    other = subprocess.run(
        [sys.executable, "-c", PRINT_DIGESTS],
        env={**os.environ, "PYTHONHASHSEED": "3", "PYTHONPATH": "."},
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.split() == digests()
