"""Hyperparameter search by cross-validation on the training rows; the holdout is never used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from mlops.config.search_params import SearchParams
from mlops.errors import DataError, MlopsError, StageError, TooFewRowsError
from mlops.evaluation.metrics import losses
from mlops.model.predictor import uncompiled
from mlops.model.trials import Journal, Trial, best
from mlops.schema import Schema
from mlops.tables.conform import columns_of
from mlops.training.fit import Builder, fit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fold", "Sampler", "search"]

Fold = tuple["pd.DataFrame", "pd.DataFrame"]
"""Training rows and validation rows."""

log = logging.getLogger("mlops")


class Sampler(Protocol):
    """Suggests parameters from the trials so far; a resumed search gets the same suggestions."""

    def suggest(self) -> dict[str, Any]:
        """Return the next values of the space's parameters."""
        ...

    def should_prune(self, losses: Sequence[float]) -> bool:
        """Return whether to prune the last suggestion, given the losses of its first folds."""
        ...

    def add(self, trial: Trial) -> None:
        """Add a finished trial, suggested by this sampler or by an earlier one with the same seed."""
        ...


@dataclass(frozen=True)
class _Objective:
    """The loss that the search minimises: everything that its trials share."""

    folds: Sequence[Fold]
    schema: Schema
    build: Builder
    params: Mapping[str, Any]
    seed: int

    def loss(self, fold: Fold, suggested: Mapping[str, Any]) -> float:
        """Fit on the fold's training rows and return the mean loss on its validation rows."""
        training, validation = fold
        fitted = fit(training, self.schema, self.build, {**self.params, **suggested}, seed=self.seed)
        model = uncompiled(fitted.estimator, self.schema, fitted.classes, self.build)
        predicted = model.predict(columns_of(validation, self.schema))
        labels = validation[self.schema.target].tolist()
        mean = float(losses(self.schema.task_type.default_loss, labels, predicted, fitted.classes).mean())
        if not isfinite(mean):
            raise StageError(f"Its loss is {mean}.")
        return mean


def search(
    folds: Sequence[Fold],
    schema: Schema,
    build: Builder,
    params: Mapping[str, Any],
    policy: SearchParams,
    *,
    seed: int,
    sampler: Sampler,
    journal: Journal,
    clock: Callable[[], float] = time.monotonic,
) -> list[Trial]:
    """Minimise the mean of the task's first loss over the folds.

    Parameters
    ----------
    folds
        See `mlops.training.holdout.folds`.
    params
        Fixed parameters of `build`; suggested ones override them.
    journal
        The trials of a killed search: finished ones are not run again, failed ones are.

    Returns
    -------
    The trials in order, at least one of them complete.

    Raises
    ------
    TooFewRowsError
        The rows of a fold cannot be fitted, whatever the parameters, as with one label only.
    StageError
        Every trial failed. The message has the first trial's error.
    """
    objective = _Objective(folds, schema, build, params, seed)
    journaled = _resumed(journal, policy)
    limit = policy.time_limit.total_seconds() if policy.time_limit else float("inf")
    finished: list[Trial] = []
    spent = 0.0
    while len(finished) < policy.trials and spent < limit:
        number, suggested = len(finished) + 1, sampler.suggest()
        pairs = [*((trial, 0.0) for trial in finished), *journaled]
        same = next((pair for pair in pairs if pair[0].params == suggested), None)
        if same is not None:  # it would have the same losses again
            trial, seconds = replace(same[0], number=number), same[1]
        else:
            start = clock()
            trial = _run(number, suggested, objective, sampler)
            seconds = clock() - start
            journal.add(trial, seconds=seconds)
        sampler.add(trial)
        finished.append(trial)
        spent += seconds
        log.info("trial %d/%d: %s", number, policy.trials, _summary(trial, finished, objective))
    _check_any_complete(finished)
    return finished


def _check_any_complete(finished: Sequence[Trial]) -> None:
    if best(finished) is None:
        raise StageError(
            f"All {len(finished)} trials of the search failed; the first with: {finished[0].error}",
            remedy="Correct model.search.space in params.yaml, or the module model.builder.",
        )


def _resumed(journal: Journal, policy: SearchParams) -> list[tuple[Trial, float]]:
    """Return the trials of a killed search that need not run again, with the seconds each took."""
    journaled = [(trial, seconds) for trial, seconds in journal.read() if trial.state != "failed"]
    if journaled:
        count = min(len(journaled), policy.trials)
        log.info("resuming the search: %d of %d trials finished before", count, policy.trials)
    return journaled


def _run(number: int, suggested: Mapping[str, Any], objective: _Objective, sampler: Sampler) -> Trial:
    """Compute the loss of each fold in turn, until the sampler prunes the trial."""
    fold_losses: list[float] = []
    folds = len(objective.folds)
    try:
        for fold in objective.folds:
            fold_losses.append(objective.loss(fold, suggested))
            if len(fold_losses) < folds and sampler.should_prune(fold_losses):
                return Trial(number, "pruned", suggested, tuple(fold_losses))
    except TooFewRowsError as exc:
        # By time, the first of many folds has few training rows; without time, each of few folds has.
        change = "Lower" if objective.schema.time else "Raise"
        raise TooFewRowsError(
            f"Fold {len(fold_losses) + 1} of {folds} of the search: {exc.message}",
            remedy=f"{change} model.search.folds in params.yaml, or widen train.window.",
        ) from exc
    except DataError:
        raise
    except Exception as exc:  # other parameters may work with the estimator
        return Trial(number, "failed", suggested, tuple(fold_losses), _first_line(exc))
    return Trial(number, "complete", suggested, tuple(fold_losses))


def _summary(trial: Trial, finished: Sequence[Trial], objective: _Objective) -> str:
    leader = best(finished)
    best_loss = f" (best {leader.loss:.4f}, trial {leader.number})" if leader else ""
    if trial.state == "failed":
        return f"failed: {trial.error}{best_loss}"
    loss = f"{objective.schema.task_type.default_loss} {trial.loss:.4f}"
    if trial.state == "pruned":
        return f"{loss}, pruned after {len(trial.losses)} of {len(objective.folds)} folds{best_loss}"
    return f"{loss}{best_loss}"


def _first_line(exc: Exception) -> str:
    text = exc.message if isinstance(exc, MlopsError) else f"{type(exc).__name__}: {exc}"
    return next(line.strip() for line in text.splitlines() if line.strip())
