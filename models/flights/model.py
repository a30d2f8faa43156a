"""Will a flight arrive more than 15 minutes late?

The toolkit calls `build`; the rest are its helpers.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlops.schema import Schema

__all__ = ["build"]


def build(params: dict[str, Any], schema: Schema) -> Pipeline:
    """Return an estimator for a table with the columns of `schema`.

    Parameters
    ----------
    params
        `algorithm`, hist or logistic; the others are passed to the classifier.
    """
    rest = dict(params)
    algorithm = rest.pop("algorithm", "hist")
    texts, numbers = list(schema.texts), list(schema.numbers)
    if algorithm == "hist":
        return _hist(texts, numbers, rest)
    if algorithm == "logistic":
        return _logistic(texts, numbers, rest)
    raise ValueError(f"model.params.algorithm: got {algorithm!r}, allowed: hist, logistic")


def _hist(texts: list[str], numbers: list[str], params: dict[str, Any]) -> Pipeline:
    # Trees split on the codes: scikit-learn's native categories do not survive compilation, and codes
    # cost the model almost nothing here.
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("texts", codes, texts), ("numbers", "passthrough", numbers)])
    settings = {"max_iter": 80, "learning_rate": 0.08, "max_leaf_nodes": 8, "min_samples_leaf": 200, **params}
    return make_pipeline(columns, HistGradientBoostingClassifier(early_stopping=False, **settings))


def _logistic(texts: list[str], numbers: list[str], params: dict[str, Any]) -> Pipeline:
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
            ("numbers", scaled, numbers),
        ]
    )
    return make_pipeline(columns, LogisticRegression(**{"max_iter": 300, **params}))
