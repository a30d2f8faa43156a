"""What a person looks at to judge a model, as tables that `dvc plots` and MLflow draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.evaluation.metrics import LOSSES, losses
from mlops.model.predictions import Answers
from mlops.model.predictor import Predictor
from mlops.schema import Array, Columns, Schema
from mlops.tables.sampling import spaced

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calibration", "confusion", "importances", "residuals", "roc"]

_POINTS = 200
_BINS = 10
_ROWS = 2000


def roc(truth: Sequence[Any], answers: Answers, classes: Sequence[Any] | None) -> pd.DataFrame:
    """Return the ROC curve, columns `false_positive_rate` and `true_positive_rate`.

    Of the second class where there are two; of each class against the others, all pooled,
    where there are more; without points for a regression.
    """
    import pandas as pd
    from sklearn.metrics import roc_curve

    columns = ["false_positive_rate", "true_positive_rate"]
    if classes is None:
        return pd.DataFrame(columns=columns, dtype=float)
    wanted = classes[1:] if len(classes) == 2 else classes
    actual = np.array([[label == name for name in wanted] for label in truth]).ravel()
    if actual.all() or not actual.any():
        return pd.DataFrame(columns=columns, dtype=float)
    false, true, _ = roc_curve(actual, np.asarray(answers.scores, dtype=float).ravel())
    kept = np.unique(np.linspace(0, len(false) - 1, _POINTS).astype(int))
    return pd.DataFrame({columns[0]: false[kept], columns[1]: true[kept]})


def calibration(truth: Sequence[Any], answers: Answers, classes: Sequence[Any] | None) -> pd.DataFrame:
    """Return `predicted`, `observed` and `rows` for each tenth of the rows, by what was predicted.

    Binary: the second class's probability and share. Multiclass: the probability of the
    predicted label and how often it was right. Regression: the values' means.
    """
    import pandas as pd

    if classes is None:
        said, was = np.asarray(answers.predictions, dtype=float), np.asarray(truth, dtype=float)
    elif len(classes) == 2:
        said, was = (
            np.asarray(answers.scores),
            np.array([label == classes[1] for label in truth], dtype=float),
        )
    else:
        said = np.asarray(answers.scores).max(axis=1)
        was = 1.0 - losses("zero_one", truth, answers, classes)
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return pd.DataFrame(
        {
            "predicted": [said[part].mean() for part in parts],
            "observed": [was[part].mean() for part in parts],
            "rows": [len(part) for part in parts],
        }
    )


def confusion(truth: Sequence[Any], answers: Answers, classes: Sequence[Any] | None) -> pd.DataFrame:
    """Return each row's `actual` and `predicted` label; no rows for a regression."""
    import pandas as pd

    if classes is None:
        return pd.DataFrame(columns=["actual", "predicted"])
    return pd.DataFrame({"actual": list(truth), "predicted": answers.predictions})


def residuals(truth: Sequence[Any], answers: Answers, classes: Sequence[Any] | None) -> pd.DataFrame:
    """Return `predicted` and `residual`, the truth less that, of up to 2,000 rows; none for labels."""
    import pandas as pd

    if classes is not None:
        return pd.DataFrame(columns=["predicted", "residual"], dtype=float)
    rows = spaced(len(truth), most=_ROWS)
    said = np.asarray(answers.predictions, dtype=float)[rows]
    return pd.DataFrame({"predicted": said, "residual": np.asarray(truth, dtype=float)[rows] - said})


def importances(
    predictor: Predictor,
    columns: Columns,
    truth: Sequence[Any],
    *,
    schema: Schema,
    classes: Sequence[Any] | None,
    seed: int,
) -> pd.DataFrame:
    """Return how much worse the model gets with a feature shuffled, largest first: `feature`, `importance`.

    In the unit of the task's first loss, on at most 2,000 rows (permutation importance,
    Breiman 2001).
    """
    import pandas as pd

    rows = spaced(len(truth), most=_ROWS)
    sample = {name: values[rows] for name, values in columns.items()}
    actual = [truth[row] for row in rows]
    random = np.random.default_rng(seed)

    def loss(of: Mapping[str, Array]) -> float:
        answers = predictor.predict(Columns.of(of, schema))
        return float(losses(LOSSES[schema.task][0], actual, answers, classes).mean())

    def shuffled(feature: str) -> dict[str, Array]:
        order = random.permutation(len(rows))  # of all parts of a date, one
        return {**sample, **{part: sample[part][order] for part in schema.parts(feature)}}

    whole = loss(sample)
    worse = {name: loss(shuffled(name)) - whole for name in schema.features}
    table = pd.DataFrame({"feature": list(worse), "importance": list(worse.values())})
    return table.sort_values("importance", ascending=False, kind="stable")
