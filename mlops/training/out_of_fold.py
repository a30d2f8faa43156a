"""The backtest: a recipe fitted at each origin, and what it predicts of the rows after it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import StageError, TooFewRowsError
from mlops.evaluation.metrics import losses
from mlops.evaluation.plots import importances
from mlops.model.predictor import uncompiled
from mlops.schema import Schema
from mlops.tables.conform import columns_of
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import (
    Array,
    Predictions,
    constant,
    from_array,
    positions,
    probabilities,
)
from mlops.training.fit import Builder, Fit, fit, load_builder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops.training.plan import Fold, Plan

__all__ = ["OutOfFold", "Recipe", "backtest"]

_WORTH_A_PROCESS = 5.0
"""Seconds that a fold must take for the others to be fitted in processes of their own."""


@dataclass(frozen=True)
class Recipe:
    """What is judged: the project's model module, its parameters and its seed.

    Parameters
    ----------
    source, path
        The module's text, and where it lies in the project.
    decision
        The rule that makes a label of the probabilities; None where the likeliest is predicted.
    """

    source: bytes
    path: str
    params: Mapping[str, Any]
    seed: int
    decision: Decision | None = None

    def build(self) -> Builder:
        """Import the module and return what it builds a model with."""
        return load_builder(self.source, self.path)


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of rows by models that were not fitted on them.

    Parameters
    ----------
    fold
        Shape (n_rows,): the number of the fold that scored each row.
    predictions, baseline
        By the recipe, and by the constant prediction of what the fold fitted.
    classes
        The labels of all folds, in the order of the probabilities; None for a regression. A label that a
        fold did not know has probability zero there.
    decision
        The rule that made the labels; None where the likeliest is predicted.
    importances
        By feature, the increase of the newest fold's loss without it: `mlops.evaluation.plots.importances`.
    """

    fold: NDArray[np.int64]
    predictions: Predictions
    baseline: Predictions
    classes: Sequence[Any] | None
    importances: Mapping[str, float]

    decision: Decision | None = None

    def decided(self, decision: Decision | None) -> OutOfFold:
        """Return the predictions with the labels that a rule makes of the probabilities."""
        if decision is None:
            return self
        ours, constants = (decision.decide(each, self.classes) for each in (self.predictions, self.baseline))
        return OutOfFold(self.fold, ours, constants, self.classes, self.importances, decision)

    def losses(self, metric: str, labels: Sequence[Any] | Array) -> Array:
        """Return each row's loss, shape (n_rows,)."""
        return losses(metric, labels, self.predictions, self.classes, self.decision)

    def baseline_losses(self, metric: str, labels: Sequence[Any] | Array) -> Array:
        """Return each row's loss of the constant prediction, shape (n_rows,)."""
        return losses(metric, labels, self.baseline, self.classes, self.decision)

    def take(self, chosen: NDArray[Any]) -> OutOfFold:
        """Return the rows that a mask or places choose."""
        places = np.arange(len(self.fold))[chosen]
        return OutOfFold(
            self.fold[places],
            _take(self.predictions, places),
            _take(self.baseline, places),
            self.classes,
            self.importances,
            self.decision,
        )


@dataclass(frozen=True)
class _Scored:
    """What one fold gave: classes, prior and predictions."""

    fitted: Fit
    predictions: Predictions


def backtest(plan: Plan, schema: Schema, recipe: Recipe) -> tuple[OutOfFold, Fit]:
    """Fit the recipe at each origin of a plan, and predict the rows after it.

    Where a fold takes long and there are cores, the others are fitted in processes of their own; the
    result is the same.

    Returns
    -------
    The predictions, in the order of ``plan.scored``, and the model of the newest fold.

    Raises
    ------
    TooFewRowsError
        The rows before an origin cannot be fitted, as with one label only. The message names the fold.
    """
    build = recipe.build()
    start = time.perf_counter()
    *others, newest = plan.folds
    results = {newest.number: _of_fold(plan, newest, schema, recipe, build)}
    slow = time.perf_counter() - start > _WORTH_A_PROCESS
    if slow and len(others) > 0 and _cores() > 1:
        from joblib import Parallel, delayed

        scored = Parallel(n_jobs=min(len(others), _cores()))(
            delayed(_of_fold)(plan, fold, schema, recipe) for fold in others
        )
    else:
        scored = [_of_fold(plan, fold, schema, recipe, build) for fold in others]
    results |= {fold.number: result for fold, result in zip(others, scored, strict=True)}
    last = results[newest.number].fitted
    joined = _joined(plan, results, _importances(plan, schema, recipe, build, last))
    return joined.decided(recipe.decision), last


def _importances(plan: Plan, schema: Schema, recipe: Recipe, build: Builder, newest: Fit) -> dict[str, float]:
    _, rows = plan.rows_of(plan.folds[-1])
    return importances(
        uncompiled(newest.estimator, schema, newest.classes, build),
        columns_of(rows, schema),
        rows[schema.target].tolist(),
        schema=schema,
        classes=newest.classes,
        seed=recipe.seed,
    )


def _of_fold(plan: Plan, fold: Fold, schema: Schema, recipe: Recipe, build: Builder | None = None) -> _Scored:
    build = build or recipe.build()
    fitted, scored = plan.rows_of(fold)
    try:
        done = fit(fitted, schema, build, recipe.params, seed=recipe.seed)
        model = uncompiled(done.estimator, schema, done.classes, build)
        return _Scored(done, model.predict(columns_of(scored, schema)))
    except (TooFewRowsError, StageError) as exc:
        raise type(exc)(f"{_named(fold, len(fitted))}: {exc.message}", remedy=exc.remedy) from exc


def _joined(plan: Plan, results: Mapping[int, _Scored], importances: Mapping[str, float]) -> OutOfFold:
    """Put the folds' predictions in the order of the plan's rows, with the labels of all."""
    known = [result.fitted.classes for result in results.values()]
    classes = _union(classes for classes in known if classes is not None) if known[0] is not None else None
    places = np.concatenate([fold.scored for fold in plan.folds])
    order = np.argsort(places, kind="stable")
    predicted = [_Part(results[fold.number].predictions, results[fold.number].fitted) for fold in plan.folds]
    constants = [
        _Part(constant(part.fitted.prior, part.fitted.classes, len(fold.scored)), part.fitted)
        for part, fold in zip(predicted, plan.folds, strict=True)
    ]
    return OutOfFold(
        plan.fold_of,
        _take(_stack(predicted, classes), order),
        _take(_stack(constants, classes), order),
        classes,
        importances,
    )


@dataclass(frozen=True)
class _Part:
    predictions: Predictions
    fitted: Fit


def _stack(parts: Sequence[_Part], classes: Sequence[Any] | None) -> Predictions:
    values = [value for part in parts for value in part.predictions.values]
    if classes is None:
        return Predictions(values)
    tables = []
    for part in parts:
        own = list(part.fitted.classes or ())
        table = np.zeros((len(part.predictions), len(classes)))
        table[:, positions(own, classes)] = probabilities(part.predictions, own)
        tables.append(table)
    # The values as each model gave them: some predict by a threshold of their own.
    return Predictions(values, from_array(np.concatenate(tables), classes).scores)


def _union(known: Iterable[Sequence[Any]]) -> list[Any]:
    classes: list[Any] = np.unique(np.concatenate([np.asarray(classes) for classes in known])).tolist()
    return classes


def _take(predictions: Predictions, places: NDArray[Any]) -> Predictions:
    scores = predictions.scores
    return Predictions(
        [predictions.values[place] for place in places],
        None if scores is None else [scores[place] for place in places],
    )


def _named(fold: Fold, rows: int) -> str:
    period = fold.fitted_period
    when = f" ({period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}, {rows:,} rows)" if period.start else ""
    return f"Fold {fold.number + 1}{when}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
