"""A model for any table: gradient boosting or a linear model.

The toolkit calls `build`; the rest are its helpers. Edit it as you like: a bundle contains the module
that its model was fitted with.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from mlops.schema import Schema

__all__ = ["build"]


def build(params: dict[str, Any], schema: Schema) -> Pipeline:
    """Return an estimator for a table with the columns of `schema`.

    Parameters
    ----------
    params
        `algorithm`, boosting or linear; the others are passed to the last step.
    """
    rest = dict(params)
    algorithm = rest.pop("algorithm", "boosting")
    if algorithm == "boosting":
        return _boosting(schema, rest)
    if algorithm == "linear":
        return _linear(schema, rest)
    raise ValueError(f"model.params.algorithm: got {algorithm!r}, allowed: boosting, linear")


def _boosting(schema: Schema, params: dict[str, Any]) -> Pipeline:
    # Trees handle missing numbers. A category becomes an ordinal code, which suits few categories, and
    # its cross-fitted target mean, which suits many, but alone merges categories with similar means.
    # With several classes there is no such mean. Both encodings survive compilation; scikit-learn's
    # native categories do not.
    categories = _categories(schema)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=250)
    means = TargetEncoder(target_type="binary" if schema.task == "binary" else "continuous")
    columns = [
        ("numbers", "passthrough", list(schema.numbers)),
        ("categories", codes, categories),
        ("means", means, categories if schema.task != "multiclass" else []),
        *_texts(schema),
    ]
    regression = schema.task == "regression"
    model = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    # By itself it stops early on many rows, and then cannot be fitted where a label has a single one.
    return make_pipeline(_transformer(columns), model(**{"early_stopping": False, **params}))


def _linear(schema: Schema, params: dict[str, Any]) -> Pipeline:
    scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=50)
    dummies = make_pipeline(codes, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    columns = [
        ("numbers", scaled, list(schema.numbers)),
        ("categories", dummies, _categories(schema)),
        *_texts(schema),
    ]
    if schema.task == "regression":
        return make_pipeline(_transformer(columns), Ridge(**params))
    return make_pipeline(_transformer(columns), LogisticRegression(**{"max_iter": 500, **params}))


def _transformer(columns: list[tuple[str, Any, Any]]) -> ColumnTransformer:
    """Return a dense transformer of the parts that have columns."""
    return ColumnTransformer([part for part in columns if part[2]], sparse_threshold=0.0)


def _texts(schema: Schema) -> list[tuple[str, Any, str]]:
    """Return per text column its latent semantic analysis: 16 numeric components."""
    # Hashed, so that it works with any vocabulary, also an empty one.
    words = make_pipeline(
        HashingVectorizer(n_features=4096), TfidfTransformer(), TruncatedSVD(n_components=16)
    )
    return [(name, clone(words), name) for name in schema.texts if schema.inputs[name] == "text"]


def _categories(schema: Schema) -> list[str]:
    """Return what reaches the model as text and is no running text, a project's own types too."""
    return [name for name in schema.texts if schema.inputs[name] != "text"]
