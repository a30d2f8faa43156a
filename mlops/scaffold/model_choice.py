"""The proposed model's parameters, chosen by trying some on the table."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.errors import EmptyWindowError, MlopsError
from mlops.evaluation.metrics import losses
from mlops.model.predictor import uncompiled
from mlops.scaffold.candidates import FEW_FOLDS, FOLDS, NOTES, SPACES, Candidate, TrialPlan, describe, untried
from mlops.schema import Schema
from mlops.tables.conform import columns_of
from mlops.tables.sampling import spaced
from mlops.task_types import losses as registered
from mlops.task_types.predictions import constant, from_array
from mlops.training.cross_validation import folds
from mlops.training.fit import Builder, Fit, fit
from mlops.training.plan import mature

if TYPE_CHECKING:
    import pandas as pd

    from mlops.task_types.predictions import Predictions

__all__ = ["ModelChoice", "Trial", "choose", "ranked"]

log = logging.getLogger("mlops")

_LEAST = 30
"""Labelled rows below which nothing is tried."""
_OVERRUN = 10
"""Times the limit after which no further candidate is tried."""


@dataclass(frozen=True)
class Trial:
    """Parameters and their mean loss on rows that were not fitted.

    Parameters
    ----------
    losses
        Of each row.
    """

    params: dict[str, Any]
    loss: float
    losses: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)

    def __str__(self) -> str:
        return describe(self.params)


@dataclass(frozen=True)
class ModelChoice:
    """The parameters that are proposed, and why.

    Parameters
    ----------
    trials
        The best of each candidate, the chosen one first; empty where nothing was tried.
    baseline
        The mean loss of a constant prediction on the same rows.
    metric
        What was compared, as a sentence calls it.
    rows, folds
        On how many rows, in how many folds.
    notes
        What a person should know of how it was chosen.
    """

    params: dict[str, Any]
    trials: Sequence[Trial] = ()
    baseline: float | None = None
    metric: str = ""
    rows: int = 0
    folds: int = 0
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def reason(self) -> str:
        """Why these parameters, in a line."""
        if not self.trials:
            return "not tried: " + (self.notes[0] if self.notes else "init was asked not to")
        least = min(trial.loss for trial in self.trials) == self.trials[0].loss
        best = "best" if least else "simplest within a standard error of the best"
        return (
            f"{best} of {len(self.trials)} tried on {self.rows:,} rows in {self.folds} folds: "
            f"{self.metric} {self.trials[0].loss:.4g}, baseline {self.baseline:.4g}"
        )

    @property
    def space(self) -> Sequence[str]:
        """What a search may vary, as params.yaml spells it."""
        name = next((name for name in self.params if name in ("C", "alpha")), "")
        return [line.replace("{regularisation}", name) for line in SPACES[self.params["algorithm"]]]

    def note(self, name: str) -> str:
        """Return what a parameter means."""
        this = self.params["algorithm"]
        return NOTES[name].format(this=this, other=next(each for each in SPACES if each != this))


def choose(
    frame: pd.DataFrame,
    schema: Schema,
    build: Builder,
    *,
    gap: timedelta,
    seconds: float,
    on_progress: Callable[[str], None] = log.info,
    clock: Callable[[], float] = time.process_time,
) -> ModelChoice:
    """Fit candidates on folds of a table, and return the one with the least loss on rows not fitted.

    By event time a fold is predicted by a fit on the rows before it, as in training.

    Parameters
    ----------
    frame
        As `mlops.tables.conform` returns it; rows from all of the table.
    build
        The proposed model's.
    gap
        Left out between fitted and predicted rows.
    seconds
        About how long it may take; 0 tries nothing. It decides beforehand what is tried: only a machine
        that is ten times slower stops early, and the choice says so.
    clock
        Seconds of the processor: another process beside this one must not change the proposal.
    """
    rows = mature(frame, schema, gap)
    if not seconds or len(rows) < _LEAST:
        few = [f"{len(rows)} rows with a label are too few"] if seconds else []
        return ModelChoice(untried(len(rows)), notes=few)
    plan = _plan(rows, schema, seconds)
    try:
        parts = _folds(rows.iloc[spaced(len(rows), most=plan.rows)], schema, gap)[-plan.folds :]
    except EmptyWindowError as exc:
        return ModelChoice(untried(len(rows)), notes=[exc.message])
    if not parts:
        return ModelChoice(untried(len(rows)), notes=["no fold has two labels to fit and rows to predict"])
    trials, notes = _all_tried(
        plan, parts, schema, build, limit=_OVERRUN * seconds, on_progress=on_progress, clock=clock
    )
    if not trials:
        return ModelChoice(untried(len(rows)), notes=["no candidate could be fitted"])
    best = ranked(trials)
    scored = sum(len(part.labels) for part in parts)
    return ModelChoice(
        best[0].params,
        best,
        _mean(part.baseline for part in parts),
        _title(schema),
        scored,
        len(parts),
        notes,
    )


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials, the least loss first; a linear one before that where it is as good.

    That is, where its loss is greater by less than one standard error of the difference (Breiman et al.
    1984, Classification and Regression Trees): of few rows the least loss is often a matter of chance.
    """
    best, *others = sorted(trials, key=lambda trial: trial.loss)
    linear = next((one for one in others if one.params["algorithm"] == "linear"), None)
    if best.params["algorithm"] == "linear" or linear is None:
        return [best, *others]
    difference = linear.losses - best.losses
    if difference.mean() > difference.std() / np.sqrt(difference.size):
        return [best, *others]
    return [linear, best, *(one for one in others if one is not linear)]


@dataclass(frozen=True)
class _Part:
    """Rows to fit, and rows to predict whose labels are among the fitted ones'."""

    fitted: pd.DataFrame
    scored: pd.DataFrame
    labels: Any
    baseline: Any


def _all_tried(
    plan: TrialPlan,
    parts: Sequence[_Part],
    schema: Schema,
    build: Builder,
    *,
    limit: float,
    on_progress: Callable[[str], None],
    clock: Callable[[], float],
) -> tuple[list[Trial], list[str]]:
    """Return a trial of each candidate that can be fitted, and what a person should know of them."""
    trials: list[Trial] = []
    started = clock()
    for number, candidate in enumerate(plan.candidates, 1):
        if clock() - started > limit:
            stopped = f"stopped after {number - 1} of {len(plan.candidates)} trials: this machine is slow"
            return trials, [stopped]
        try:
            trials.append(_tried(candidate, parts, schema, build))
        except MlopsError as exc:
            on_progress(f"{describe(candidate.fitted)}: {exc.message}")
            continue
        on_progress(f"tried {number} of {len(plan.candidates)}: {trials[-1]}: {trials[-1].loss:.4g}")
    return trials, []


def _plan(rows: pd.DataFrame, schema: Schema, seconds: float) -> TrialPlan:
    texts = [name for name in schema.texts if schema.input_types[name].has_vocabulary]
    values = sum(min(50, rows[name].nunique()) for name in texts if name in rows)
    words = 16 * (len(schema.texts) - len(texts))
    labels = rows[schema.target].nunique() if schema.task_type.has_classes else 1
    plan = TrialPlan.of_size(
        len(rows),
        numbers=len(schema.numbers) + 2 * len(texts) + words,
        width=len(schema.numbers) + values + words,
        outputs=labels if labels > 2 else 1,
        seconds=seconds,
        texts=len(schema.texts) - len(texts),
    )
    return plan.and_linear("C" if schema.task_type.has_classes else "alpha")


def _folds(rows: pd.DataFrame, schema: Schema, gap: timedelta) -> list[_Part]:
    parted = folds(rows, schema, count=FOLDS, gap=gap)
    if schema.time is not None:  # a fit on the first sixth says little of one on all
        parted = parted[-FEW_FOLDS:]
    parts = []
    for fitted, scored in parted:
        known = fitted[schema.target]
        if schema.task_type.has_classes:
            if known.nunique() < 2:
                continue
            # A label that no fitted row has costs every candidate the same.
            scored = scored[scored[schema.target].isin(known.unique())]
        if len(scored):
            parts.append(_part(fitted, scored, schema))
    return parts


def _part(fitted: pd.DataFrame, scored: pd.DataFrame, schema: Schema) -> _Part:
    target, labels = np.array(fitted[schema.target].tolist()), scored[schema.target].tolist()
    classes = schema.task_type.classes(target, schema.target)
    fixed = constant(schema.task_type.prior(target, classes), classes, len(scored))
    return _Part(fitted, scored, labels, _losses(schema, labels, fixed, classes))


def _tried(candidate: Candidate, parts: Sequence[_Part], schema: Schema, build: Builder) -> Trial:
    """Return a candidate with its best number of trees, and the mean loss of that."""
    of_part = []
    for part in parts:
        done = fit(part.fitted, schema, build, candidate.fitted, seed=0)
        made = (
            _staged(candidate, done, part, schema) if candidate.trees else _whole(done, part, schema, build)
        )
        of_part.append([_losses(schema, part.labels, each, done.classes) for each in made])
    losses_of = [np.concatenate(each) for each in zip(*of_part, strict=True)]
    best = int(np.argmin([each.mean() for each in losses_of]))
    params = candidate.with_trees(candidate.trees[best]) if candidate.trees else candidate.fitted
    return Trial(params, float(losses_of[best].mean()), losses_of[best])


def _whole(done: Fit, part: _Part, schema: Schema, build: Builder) -> Iterator[Predictions]:
    yield uncompiled(done.estimator, schema, done.classes, build).predict(columns_of(part.scored, schema))


def _staged(candidate: Candidate, done: Fit, part: _Part, schema: Schema) -> Iterator[Predictions]:
    """Yield what the first so many trees of a fit predict: those are what a fit of fewer would have."""
    import pandas as pd

    model, last = done.estimator[:-1], done.estimator[-1]
    features = pd.DataFrame(dict(columns_of(part.scored, schema)), index=part.scored.index)
    table = model.transform(features)
    staged = last.staged_predict if done.classes is None else last.staged_predict_proba
    for number, values in enumerate(staged(table), 1):
        if number in candidate.trees:
            yield from_array(np.asarray(values, dtype=float), done.classes)


def _losses(schema: Schema, labels: Any, predictions: Predictions, classes: Sequence[Any] | None) -> Any:
    return losses(schema.task_type.default_loss, labels, predictions, classes)


def _title(schema: Schema) -> str:
    return registered.find(schema.task_type.default_loss).title


def _mean(parts: Any) -> float:
    return float(np.concatenate(list(parts)).mean())
