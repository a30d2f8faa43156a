"""How wrong predictions are: a loss per row for comparing models, a report for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlops import task_types
from mlops.errors import DataError
from mlops.task_types import losses as registered
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Array, Predictions

__all__ = ["loss_names", "losses", "mean_losses", "report", "skill"]


def losses(
    metric: str,
    labels: Sequence[Any] | Array,
    predictions: Predictions,
    classes: Sequence[Any] | None,
    decision: Decision | None = None,
) -> Array:
    """Return each row's loss, shape (n,); less is better.

    Parameters
    ----------
    metric
        One of `mlops.task_types.losses`.
    labels
        The labels, none missing. A class the model doesn't know has probability zero.
    classes
        In the order of the probabilities; None where values are predicted.
    decision
        What errors cost, which the metric `cost` needs.

    Raises
    ------
    DataError
        The metric is none of the task's, or a row has no label; or it needs costs, and there are none.
    """
    known = labels if isinstance(labels, np.ndarray) else pd.Series(list(labels), dtype=object)
    missing = int(pd.isna(known).sum())
    if missing:
        raise DataError(f"{missing} of {len(labels)} rows have no label.", remedy="Leave them out.")
    loss, has_classes = registered.find(metric), classes is not None and predictions.scores is not None
    if loss.of_classes is not has_classes:
        task = task_types.of_classes(classes)
        raise DataError(
            f"{metric} is no loss of a {task.name} model.",
            remedy=f"Set gate.metric in params.yaml to one of {', '.join(task.losses)}.",
        )
    if not loss.needs_costs:
        return loss.function(labels, predictions, classes)
    if decision is None or decision.costs is None:
        raise DataError(f"{metric} needs costs.", remedy="Set model.costs in params.yaml.")
    return decision.losses(labels, predictions, classes or ())


def loss_names(task: str, decision: Decision | None) -> tuple[str, ...]:
    """Return what a model is measured by, the task's default first; its costs too, where it has such."""
    has_costs = decision is not None and decision.costs is not None
    more = [loss.name for loss in registered.REGISTER if loss.needs_costs and has_costs]
    return (*task_types.find(task).losses, *more)


def mean_losses(
    task: str,
    labels: Sequence[Any] | Array,
    predictions: Predictions,
    classes: Sequence[Any] | None,
    decision: Decision | None = None,
) -> dict[str, float]:
    """Return the mean of each of the task's losses by name."""
    names = loss_names(task, decision)
    return {name: float(losses(name, labels, predictions, classes, decision).mean()) for name in names}


def skill(
    task: str, labels: Sequence[Any] | Array, predictions: Predictions, classes: Sequence[Any] | None
) -> Array:
    """Return each row's part in the covariance of the predictions with the labels, shape (n,).

    Their mean is the covariance term of the Brier score (Yates 1982): above 0 where predictions
    rise with the labels, 0 in expectation where there is nothing to learn, whatever
    the calibration. Summed over the classes but the first.
    """
    actual, predicted = task_types.find(task).skill_terms(labels, predictions, classes)
    return np.asarray(((actual - actual.mean(axis=0)) * (predicted - predicted.mean(axis=0))).sum(axis=1))


def report(
    task: str,
    labels: Sequence[Any] | Array,
    predictions: Predictions,
    classes: Sequence[Any] | None,
    decision: Decision | None = None,
) -> dict[str, float]:
    """Return the mean losses and the figures people ask for, by name, see `Task.figures`."""
    means = mean_losses(task, labels, predictions, classes, decision)
    return {**means, **task_types.find(task).figures(labels, predictions, classes)}
