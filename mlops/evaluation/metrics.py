"""How wrong answers are: a loss per row for comparing models, a report for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops.errors import DataError
from mlops.feature_types import LOSSES, Metric, Task
from mlops.model.predictions import Answers

__all__ = ["LOSSES", "Metric", "losses", "mean_losses", "report", "skill"]

_Array = np.ndarray[Any, Any]

_SURE = 1e-15  # a probability of zero would cost infinitely much, and one row would decide


def losses(
    metric: Metric, truth: Sequence[Any] | _Array, answers: Answers, classes: Sequence[Any] | None
) -> _Array:
    """Return each row's loss, shape (n,); less is better.

    Parameters
    ----------
    metric
        log_loss: the negative logarithm of the true class's probability. brier: the squared
        distance of the probabilities from the truth (Brier 1950; with two classes of the
        positive one alone, in [0, 1]). zero_one: whether the label is wrong. squared_error
        and absolute_error: of a value.
    truth
        The labels, none missing. A class the model doesn't know has probability zero.
    classes
        In the order of the probabilities; None where the task is regression.

    Raises
    ------
    DataError
        The metric is none of the task's, or a row has no label.
    """
    missing = sum(label is None or label != label for label in truth)
    if missing:
        raise DataError(f"{missing} of {len(truth)} rows have no label.", remedy="Leave them out.")
    if metric in ("squared_error", "absolute_error"):
        if classes is not None:
            raise _not_of_task(metric, "binary" if len(classes) == 2 else "multiclass")
        error = np.asarray(answers.predictions, dtype=float) - np.asarray(truth, dtype=float)
        return np.asarray(np.abs(error) if metric == "absolute_error" else error**2)
    if classes is None or answers.scores is None:
        raise _not_of_task(metric, "regression")
    if metric == "zero_one":
        pairs = zip(answers.predictions, truth, strict=True)
        return np.array([guess != label for guess, label in pairs], dtype=float)
    position, probability = _positions(truth, classes), _probabilities(answers, classes)
    of_truth = np.where(position >= 0, probability[np.arange(len(position)), position], 0.0)
    if metric == "log_loss":
        return np.asarray(-np.log(np.clip(of_truth, _SURE, 1.0)))
    if len(classes) == 2:
        return np.asarray((1.0 - of_truth) ** 2)
    # The sum over classes of (p - y)², with the true class's term set right.
    return np.asarray((probability**2).sum(axis=1) - of_truth**2 + (1.0 - of_truth) ** 2)


def mean_losses(
    task: Task, truth: Sequence[Any] | _Array, answers: Answers, classes: Sequence[Any] | None
) -> dict[str, float]:
    """Return the mean of each of the task's losses by name."""
    return {name: float(losses(name, truth, answers, classes).mean()) for name in LOSSES[task]}


def skill(truth: Sequence[Any] | _Array, answers: Answers, classes: Sequence[Any] | None) -> _Array:
    """Return each row's part in the covariance of the answers with the truth, shape (n,).

    Their mean is the covariance term of the Brier score (Yates 1982): above 0 where answers
    rise with what they predict, 0 in expectation where there is nothing to learn, whatever
    the calibration. Summed over the classes but the first.
    """
    if classes is None:
        told = np.asarray(truth, dtype=float)[:, None]
        said = np.asarray(answers.predictions, dtype=float)[:, None]
    else:
        told = _positions(truth, classes)[:, None] == np.arange(1, len(classes))
        said = _probabilities(answers, classes)[:, 1:]
    return np.asarray(((told - told.mean(axis=0)) * (said - said.mean(axis=0))).sum(axis=1))


def report(
    task: Task, truth: Sequence[Any] | _Array, answers: Answers, classes: Sequence[Any] | None
) -> dict[str, float]:
    """Return the mean losses and the figures people ask for, by name.

    A figure that the rows don't define, such as a ROC area with one class, is left out.
    """
    means = mean_losses(task, truth, answers, classes)
    if classes is None:
        return {**means, **_regression(truth, answers)}
    return {**means, **(_binary if task == "binary" else _multiclass)(truth, answers, classes)}


def _binary(truth: Any, answers: Answers, classes: Sequence[Any]) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    positive = _positions(truth, classes) == 1
    figures = {"accuracy": _accuracy(truth, answers)}
    if positive.any() and not positive.all():
        figures["roc_auc"] = float(roc_auc_score(positive, answers.scores))
        figures["average_precision"] = float(average_precision_score(positive, answers.scores))
    return figures


def _multiclass(truth: Any, answers: Answers, classes: Sequence[Any]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    known = np.array([classes.index(label) if label in classes else -1 for label in answers.predictions])
    macro = f1_score(_positions(truth, classes), known, average="macro", zero_division=0.0)
    return {"accuracy": _accuracy(truth, answers), "f1_macro": float(macro)}


def _regression(truth: Any, answers: Answers) -> dict[str, float]:
    values = np.asarray(truth, dtype=float)
    error = np.asarray(answers.predictions, dtype=float) - values
    figures = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    if spread := float(((values - values.mean()) ** 2).sum()):
        figures["r2"] = 1.0 - float((error**2).sum()) / spread
    return figures


def _accuracy(truth: Any, answers: Answers) -> float:
    return float(np.mean([guess == label for guess, label in zip(answers.predictions, truth, strict=True)]))


def _positions(truth: Any, classes: Sequence[Any]) -> _Array:
    order = {label: position for position, label in enumerate(classes)}
    return np.array([order.get(label, -1) for label in truth], dtype=int)


def _probabilities(answers: Answers, classes: Sequence[Any]) -> _Array:
    scores = np.asarray(answers.scores, dtype=float)
    return np.column_stack([1.0 - scores, scores]) if len(classes) == 2 else scores


def _not_of_task(metric: str, task: Task) -> DataError:
    return DataError(
        f"{metric} is no loss of a {task} model.",
        remedy=f"Set gate.metric in params.yaml to one of {', '.join(LOSSES[task])}.",
    )
