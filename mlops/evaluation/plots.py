"""Evaluation plots of a model, as tables that `dvc plots` and MLflow draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import task_types
from mlops.evaluation.metrics import losses
from mlops.model.predictor import Predictor
from mlops.rows import Array, Columns
from mlops.schema import Schema
from mlops.tables.sampling import spaced
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calibration", "confusion", "importances", "residuals", "roc"]

_POINTS = 200
_BINS = 10
_ROWS = 2000


def roc(
    task: str, labels: Sequence[Any], predicted: Predictions, classes: Sequence[Any] | None
) -> pd.DataFrame:
    """Return the ROC curve, columns `false_positive_rate` and `true_positive_rate`.

    Of what `Task.roc_terms` says; no points where it has none, as for a regression, or where all rows
    are alike.
    """
    import pandas as pd
    from sklearn.metrics import roc_curve

    columns = ["false_positive_rate", "true_positive_rate"]
    actual, scores = task_types.find(task).roc_terms(labels, predicted, classes)
    if actual.all() or not actual.any():
        return pd.DataFrame(columns=columns, dtype=float)
    false, true, _ = roc_curve(actual, scores)
    points = np.unique(np.linspace(0, len(false) - 1, _POINTS).astype(int))
    return pd.DataFrame({columns[0]: false[points], columns[1]: true[points]})


def calibration(
    task: str, labels: Sequence[Any], predicted: Predictions, classes: Sequence[Any] | None
) -> pd.DataFrame:
    """Return `predicted`, `observed` and `rows` for each decile of the predictions.

    The means of what `Task.calibration` says.
    """
    import pandas as pd

    scores, observed = task_types.find(task).calibration(labels, predicted, classes)
    order = np.argsort(scores, kind="stable")
    bins = [rows for rows in np.array_split(order, _BINS) if len(rows)]
    return pd.DataFrame(
        {
            "predicted": [scores[rows].mean() for rows in bins],
            "observed": [observed[rows].mean() for rows in bins],
            "rows": [len(rows) for rows in bins],
        }
    )


def confusion(task: str, labels: Sequence[Any], predicted: Predictions) -> pd.DataFrame:
    """Return each row's `actual` and `predicted` label; no rows where values are predicted."""
    import pandas as pd

    if not task_types.find(task).has_classes:
        return pd.DataFrame(columns=["actual", "predicted"])
    return pd.DataFrame({"actual": list(labels), "predicted": predicted.values})


def residuals(task: str, labels: Sequence[Any], predicted: Predictions) -> pd.DataFrame:
    """Return `predicted` and `residual`, actual minus predicted, of up to 2,000 rows; none for classes."""
    import pandas as pd

    if task_types.find(task).has_classes:
        return pd.DataFrame(columns=["predicted", "residual"], dtype=float)
    rows = spaced(len(labels), most=_ROWS)
    values = np.asarray(predicted.values, dtype=float)[rows]
    return pd.DataFrame({"predicted": values, "residual": np.asarray(labels, dtype=float)[rows] - values})


def importances(
    predictor: Predictor,
    columns: Columns,
    labels: Sequence[Any],
    *,
    schema: Schema,
    classes: Sequence[Any] | None,
    seed: int,
) -> dict[str, float]:
    """Return the features' permutation importance (Breiman 2001), largest first.

    The increase of the task's first loss with the feature shuffled, on at most 2,000 rows.
    """
    rows = spaced(len(labels), most=_ROWS)
    sample = {name: values[rows] for name, values in columns.items()}
    actual = [labels[row] for row in rows]
    random = np.random.default_rng(seed)

    def loss(of: Mapping[str, Array]) -> float:
        predicted = predictor.predict(Columns.of(of, schema))
        return float(losses(schema.task_type.default_loss, actual, predicted, classes).mean())

    def shuffled(feature: str) -> dict[str, Array]:
        order = random.permutation(len(rows))  # one order for all parts of a date
        return {**sample, **{part: sample[part][order] for part in schema.parts(feature)}}

    reference = loss(sample)
    increases = {name: loss(shuffled(name)) - reference for name in schema.features}
    return dict(sorted(increases.items(), key=lambda item: -item[1]))
