"""Two models on the same rows, compared as the gate compares them: for people, on any table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mlops.errors import DataError, MissingColumnError, TooFewRowsError
from mlops.evaluation.gate import compare
from mlops.evaluation.metrics import losses
from mlops.ledger.judgement import Comparison
from mlops.stats.blocks import blocks_of
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    from mlops.schema import Schema

__all__ = ["PredictsFrames", "compare_models"]

_PREDICT = "Pass a DataFrame with the columns prediction and score, as a model's `predict` returns it."


class PredictsFrames(Protocol):
    """A model that predicts tables, such as a version of a project's."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and ``score`` of each row, with the index of `frame`."""
        ...


def compare_models(
    challenger: PredictsFrames | pd.DataFrame,
    champion: PredictsFrames | pd.DataFrame,
    rows: pd.DataFrame,
    schema: Schema,
    *,
    metric: str | None = None,
    classes: Sequence[Any] | None = None,
    block: timedelta = timedelta(days=1),
    confidence: float = 0.95,
    folds: ArrayLike | None = None,
) -> Comparison:
    """Compare two models' losses on the same labelled rows, paired, by blocks of time.

    The computation of the gate, without its limits and its verdict. The interval is Student's t over blocks
    of time, widened by how much neighbouring blocks resemble each other: rows of one day rise and fall
    together, and taken one by one they would make it several times too narrow. `mlops.stats.mixed_model`
    has the formula and its sources.

    Parameters
    ----------
    challenger, champion
        A model with a method ``predict``, such as ``project.version("5")``; or what it predicted for
        `rows`: a DataFrame of shape (n_rows, 2) with the columns ``prediction`` and ``score``.
    rows
        Shape (n_rows, n_columns): the target, and the features where a model is to predict them. Rows
        that neither model was fitted on. Rows without a label are left out.
    schema
        Names the target and the task, and the time or the key that blocks are made of.
    metric
        The loss of a row; the task's default where none is named. ``log_loss`` in nats, ``brier``
        (Brier 1950), ``zero_one``; of a regression ``squared_error`` and ``absolute_error``, in the
        target's unit squared and in its unit.
    classes
        The labels in the order of the probabilities, the second the positive one of a binary task.
        Those that the rows hold, sorted, where none are named.
    block
        The length of a block of time.
    confidence
        Of the interval, between 0 and 1.
    folds
        Shape (n_rows,): the fold that each row was held out in, where a model was refitted from fold to fold.
        A change between or within folds is not taken for dependence where each fold has its mean.

    Returns
    -------
    Comparison
        Both mean losses, their difference and its interval, and how many rows and blocks they rest on.

    Raises
    ------
    mlops.errors.MissingColumnError
        `rows` has no target, or lacks the time that `schema` names. Name another schema.
    mlops.errors.TooFewRowsError
        No row has a label.
    mlops.errors.DataError
        The predictions are not those of `rows`, or the metric is none of the task's.

    Notes
    -----
    Long on purpose: most of it is this documentation.

    Examples
    --------
    A challenger that predicts the chance itself, against a constant prediction:

    >>> import numpy as np, pandas as pd, mlops
    >>> schema = mlops.Schema({"size": "number"}, target="ripe", task="binary", time="picked")
    >>> rng = np.random.default_rng(0)
    >>> picked = pd.date_range("2026-01-01", periods=960, freq="h", tz="UTC")
    >>> chance = rng.uniform(size=960)
    >>> rows = pd.DataFrame({"picked": picked, "ripe": rng.random(960) < chance})
    >>> informed = pd.DataFrame({"prediction": chance > 0.5, "score": chance})
    >>> half = pd.DataFrame({"prediction": False, "score": np.full(960, 0.5)})
    >>> comparison = mlops.compare_models(informed, half, rows, schema)
    >>> comparison.rows, comparison.blocks
    (960, 40)
    >>> bool(comparison.high < 0)
    True
    """
    _check_columns(rows, schema)
    target = schema.task_type.read_target(rows[schema.target])
    known = target.notna().to_numpy()
    if not known.any():
        raise TooFewRowsError("No row has a label.", remedy="Compare on rows whose label is known.")
    actual, labelled = target[known].to_numpy(), rows[known]
    names = classes if classes is not None else _classes(challenger, champion, actual, schema)
    measured = metric or schema.task_type.default_loss
    ours, theirs = (
        losses(measured, actual, _predictions(model, labelled, known), names)
        for model in (challenger, champion)
    )
    blocks = blocks_of(labelled, schema, block)
    fold = None if folds is None else np.asarray(folds)[known]
    return compare(ours, theirs, blocks, confidence=confidence, ordered=schema.time is not None, folds=fold)


def _check_columns(rows: pd.DataFrame, schema: Schema) -> None:
    for name, remedy in (
        (schema.target, "Compare on rows whose label is known."),
        (schema.time, "Blocks are made of it: pass a table that has it, or a schema without a time."),
    ):
        if name is not None and name not in rows:
            have = [str(column) for column in rows.columns]
            raise MissingColumnError([name], have=have, where="The table", remedy=remedy)


def _classes(challenger: object, champion: object, actual: Any, schema: Schema) -> Sequence[Any] | None:
    """Return the labels in the order of the probabilities, as a model has them or as the rows hold them."""
    if not schema.task_type.has_classes:
        return None
    for model in (challenger, champion):
        if not isinstance(model, pd.DataFrame) and (known := getattr(model, "classes", None)):
            return list(known)
    present: list[Any] = np.unique(actual).tolist()
    if len(present) == 1:
        raise DataError(
            f"Every row has the label {present[0]!r}: the order of the labels is unknown.",
            remedy="Name the labels in the order of their probabilities: classes=[False, True].",
        )
    return present


def _predictions(
    model: PredictsFrames | pd.DataFrame, labelled: pd.DataFrame, known: np.ndarray[Any, Any]
) -> Predictions:
    """Return what a model predicts for the labelled rows."""
    if not isinstance(model, pd.DataFrame):
        made = model.predict(labelled)
    elif len(model) == len(known):
        made = model[known]
    else:
        raise DataError(
            f"There are {len(model):,} predictions for {len(known):,} rows.",
            remedy="Predict the same rows with both models.",
        )
    if not made.index.equals(labelled.index):
        raise DataError(
            "The predictions do not have the index of the rows.",
            remedy="Keep the index that `predict` returns.",
        )
    if "prediction" not in made:
        have = [str(name) for name in made.columns]
        raise MissingColumnError(["prediction"], have=have, where="The predictions", remedy=_PREDICT)
    return Predictions(made["prediction"].tolist(), made["score"].tolist() if "score" in made else None)
