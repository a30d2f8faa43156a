"""MLflow's pyfunc loader of a bundle: the loader module that a logged model's MLmodel file names.

``mlflow.pyfunc.load_model("models:/flights/3").predict(frame)`` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mlops.model import bundle, predictor
from mlops.model.predict_frame import predict_frame
from mlops.schema import Schema

__all__ = ["SCORES", "BundleModel"]

SCORES = "scores"
"""The parameter of a prediction that asks for scores beside it."""


class BundleModel:
    """A bundle's model behind MLflow's pyfunc interface; rows are read as ingestion reads them."""

    def __init__(self, loaded: predictor.Predictor, schema: Schema) -> None:
        self._predictor = loaded
        self._schema = schema

    def predict(
        self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.Series[Any] | pd.DataFrame:
        """Return the predictions, shape (n_rows,), as `mlflow.models.evaluate` needs them.

        Parameters
        ----------
        params
            With ``{"scores": True}`` a frame comes instead, with the columns ``prediction`` and ``score``,
            see `predict_frame`.

        Raises
        ------
        MissingColumnError
            The table lacks a feature.
        DataError
            A value cannot be used; its column and row are named.
        """
        predicted = predict_frame(self._predictor, frame, self._schema)
        return predicted if (params or {}).get(SCORES, False) else predicted["prediction"]


def _load_pyfunc(path: str) -> BundleModel:
    """Load the bundle at `path`; MLflow prescribes the name and signature."""
    opened = bundle.open(Path(path))
    return BundleModel(predictor.load(opened), opened.schema)
