"""A real model, fitted in a moment, in a real bundle: what the tests of deployment serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mlops.model import bundle as bundles
from mlops.model.bundle import Bundle
from mlops.model.predictor import Fitted
from mlops.rows import parse_rows
from mlops.schema import Schema

SCHEMA = Schema(features={"size": "number", "colour": "category"}, target="ripe", task="binary", key="plum")
ROWS = [{"size": float(i % 10), "colour": ("red", "green", "blue")[i % 3], "plum": str(i)} for i in range(20)]

_MODULE = b'''"""Builds nothing: the tiny model is fitted by the tests."""
'''


def tiny_bundle(folder: Path, *, compiled: bool = True, strength: float = 1.0) -> Bundle:
    """Fit a logistic regression and write its bundle; `strength` makes another model."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from mlops.adapters import onnx, skops

    columns = parse_rows(ROWS, SCHEMA)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]), (SimpleImputer(), ["size"])
    )
    estimator = make_pipeline(encode, LogisticRegression(C=strength))
    estimator.fit(pd.DataFrame(dict(columns))[list(SCHEMA.features)], (columns["size"] > 4).astype(int))
    classes = [0, 1]
    answers = Fitted(estimator, SCHEMA, classes).predict(columns)
    golden = [
        {"prediction": prediction, "score": score}
        for prediction, score in zip(answers.values, answers.scores or [], strict=True)
    ]
    files = {
        "model.skops": skops.dumps(estimator),
        "module.py": _MODULE,
        "schema.json": bundles.to_json(SCHEMA.to_dict()),
        "model.json": bundles.to_json(
            bundles.ModelInfo(
                task="binary",
                classes=classes,
                prior=[0.5, 0.5],
                compiled=compiled,
                categories={"colour": sorted(np.unique(columns["colour"]).tolist())},
            ).to_dict()
        ),
        "golden.json": bundles.to_json({"rows": ROWS, "predictions": golden}),
        "lineage.json": bundles.to_json({"data": "0" * 32}),
    }
    if compiled:
        model = onnx.compile(estimator, SCHEMA, classes, columns).model
        assert model is not None
        files["model.onnx"] = model
    return bundles.write(folder, files)
