"""How MLflow opens a bundle: the loader that the MLmodel file of a logged model names.

``mlflow.pyfunc.load_model("models:/flights/3").predict(frame)`` comes through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mlops.model import bundle, predictor
from mlops.schema import Schema, parse_rows

__all__ = ["BundleModel"]


class BundleModel:
    """A bundle's model behind MLflow's interface; rows are checked as the service checks them."""

    def __init__(self, answering: predictor.Predictor, schema: Schema) -> None:
        self._predictor = answering
        self._schema = schema

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Answer rows: columns ``prediction`` and, where the model has one, ``score``.

        Raises
        ------
        RowError
            A feature is missing or of the wrong type; the row and the field are named.
        """
        values = frame.astype(object)
        records: list[dict[Any, Any]] = values.where(values.notna(), None).to_dict("records")
        answers = self._predictor.predict(parse_rows(records, self._schema))
        columns: dict[str, Any] = {"prediction": answers.predictions}
        if answers.scores is not None:
            columns["score"] = answers.scores
        return pd.DataFrame(columns, index=frame.index)


def _load_pyfunc(path: str) -> BundleModel:
    """Open the bundle at `path`; the name and signature are MLflow's."""
    opened = bundle.open(Path(path))
    return BundleModel(predictor.load(opened), opened.schema)
