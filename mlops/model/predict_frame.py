"""A model's predictions for a DataFrame: rows in, rows out."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from mlops.tables.conform import unlabelled
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

    from mlops.model.predictor import Predictor
    from mlops.schema import Schema

__all__ = ["predict_frame"]


def predict_frame(predictor: Predictor, frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Predict every row of a table.

    Values are read as ingestion reads them; columns that are no feature are left alone.

    Parameters
    ----------
    frame
        Shape (n_rows, n_columns): the features of `schema` at least; nulls allowed.

    Returns
    -------
    DataFrame
        Shape (n_rows, 2), with the index of `frame`. ``prediction``: the likeliest label, or the value
        of a regression. ``score``: the probability of the second class (binary), the list of every
        class's probability (multiclass), NaN (regression).

    Raises
    ------
    MissingColumnError
        The table lacks a feature. Add the column; its values may be null.
    DataError
        A value cannot be used; its column and row are named.
    """
    import pandas as pd

    rows = unlabelled(frame, schema)
    # Not every model takes a table without rows.
    made = predictor.predict(rows.columns) if len(frame) else Predictions([])
    scores = [nan] * len(frame) if made.scores is None else made.scores
    return pd.DataFrame({"prediction": made.values, "score": scores}, index=frame.index)
