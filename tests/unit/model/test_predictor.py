"""The model as it was fitted, asked as scikit-learn would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from mlops.model.predictor import Fitted
from mlops.rows import Columns
from mlops.schema import Schema

SCHEMA = Schema({"size": "number"}, "ripe", "binary")
SIZES = np.linspace(-2.0, 2.0, 40)
ROWS = pd.DataFrame({"size": SIZES})
COLUMNS = Columns.of({"size": SIZES}, SCHEMA)


class Doubled(TransformerMixin, BaseEstimator):
    """Doubles its columns, and counts how often."""

    def fit(self, table: Any, target: Any = None) -> Doubled:
        self.times_ = 0
        return self

    def transform(self, table: Any) -> Any:
        self.times_ += 1
        return np.asarray(table) * 2


class Contrary(Pipeline):
    """Says the opposite of its last step."""

    def predict(self, table: Any) -> Any:
        return ~super().predict(table)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(LogisticRegression()),
        make_pipeline(Doubled(), LogisticRegression()),
        make_pipeline(Doubled(), FixedThresholdClassifier(LogisticRegression(), threshold=0.9)),
        Contrary([("doubled", Doubled()), ("model", LogisticRegression())]),
    ],
)
def test_the_fitted_model_is_asked_as_it_would_answer_itself(estimator: Any) -> None:
    estimator.fit(ROWS, SIZES > 0)
    answers = Fitted(estimator, SCHEMA, [False, True]).predict(COLUMNS)
    assert answers.values == estimator.predict(ROWS).tolist()
    assert answers.scores == estimator.predict_proba(ROWS)[:, 1].tolist()


def test_a_pipelines_columns_are_made_once_for_its_label_and_its_score() -> None:
    doubled = Doubled()
    fitted = make_pipeline(doubled, LogisticRegression()).fit(ROWS, SIZES > 0)
    doubled.times_ = 0
    Fitted(fitted, SCHEMA, [False, True]).predict(COLUMNS)
    assert doubled.times_ == 1
