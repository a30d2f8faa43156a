"""MLflow's pyfunc loader of a bundle: the loader module that a logged model's MLmodel file names.

``mlflow.pyfunc.load_model("models:/flights/3").predict(frame)`` calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mlops.model import bundle, predictor
from mlops.rows import parse_rows
from mlops.schema import Schema

__all__ = ["BundleModel"]


class BundleModel:
    """A bundle's model behind MLflow's pyfunc interface; rows are validated as the service does."""

    def __init__(self, loaded: predictor.Predictor, schema: Schema) -> None:
        self._predictor = loaded
        self._schema = schema

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns ``prediction`` and, where the model has scores, ``score``.

        Raises
        ------
        RowError
            A feature is missing or of the wrong type. The error names the row and the field.
        """
        values = frame.astype(object)
        records: list[dict[Any, Any]] = values.where(values.notna(), None).to_dict("records")
        predicted = self._predictor.predict(parse_rows(records, self._schema))
        columns: dict[str, Any] = {"prediction": predicted.values}
        if predicted.scores is not None:
            columns["score"] = predicted.scores
        return pd.DataFrame(columns, index=frame.index)


def _load_pyfunc(path: str) -> BundleModel:
    """Load the bundle at `path`; MLflow prescribes the name and signature."""
    opened = bundle.open(Path(path))
    return BundleModel(predictor.load(opened), opened.schema)
