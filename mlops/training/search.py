"""Tuning: combinations of parameters, each measured on parts of the rows to fit; never on the holdout."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from mlops.config.params import SearchParams
from mlops.errors import DataError, MlopsError, StageError, TooFewRowsError
from mlops.evaluation.metrics import LOSSES, losses
from mlops.model.predictor import uncompiled
from mlops.model.trials import Journal, Trial, best
from mlops.schema import Schema
from mlops.tables.conform import columns_of
from mlops.training.fit import Builder, fit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fold", "Sampler", "search"]

Fold = tuple["pd.DataFrame", "pd.DataFrame"]
"""Rows to fit, and rows to measure on."""

log = logging.getLogger("mlops")


class Sampler(Protocol):
    """Chooses what to try from what was tried before; a killed search goes on with the same choices."""

    def suggest(self) -> dict[str, Any]:
        """Return the next combination of the space's parameters."""
        ...

    def hopeless(self, losses: Sequence[float]) -> bool:
        """Tell whether the combination suggested last may be given up after its first folds."""
        ...

    def learn(self, trial: Trial) -> None:
        """Take in a trial that has ended, suggested by this sampler or by an earlier one like it."""
        ...


@dataclass(frozen=True)
class _Measured:
    """What is fitted and measured in each trial alike."""

    parts: Sequence[Fold]
    schema: Schema
    build: Builder
    params: Mapping[str, Any]
    seed: int

    def loss(self, fold: Fold, suggested: Mapping[str, Any]) -> float:
        """Fit a combination on one part and return its mean loss on the other."""
        fitted, measured = fold
        done = fit(fitted, self.schema, self.build, {**self.params, **suggested}, seed=self.seed)
        model = uncompiled(done.estimator, self.schema, done.classes, self.build)
        answers = model.predict(columns_of(measured, self.schema))
        truth = measured[self.schema.target].tolist()
        mean = float(losses(LOSSES[self.schema.task][0], truth, answers, done.classes).mean())
        if not isfinite(mean):
            raise StageError(f"Its loss is {mean}.")
        return mean


def search(
    parts: Sequence[Fold],
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
    """Try combinations of parameters by the mean of the task's first loss over the folds.

    Parameters
    ----------
    parts
        See `mlops.training.holdout.folds`.
    params
        What a combination overrides; handed to `build` with it.
    journal
        Holds the trials that an earlier search, killed since, has ended: where one of them comes
        again it is not run again. What failed is: the reason may be gone.

    Returns
    -------
    The trials in their order, at least one of them complete.

    Raises
    ------
    TooFewRowsError
        The rows of a fold cannot be learned from, whatever the parameters: they hold one label, say.
    StageError
        Every combination failed; what the first said is told.
    """
    measured = _Measured(parts, schema, build, params, seed)
    known = [(trial, took) for trial, took in journal.read() if trial.state != "failed"]
    if known:
        had = min(len(known), policy.trials)
        log.info("%d of %d trials had ended: the search goes on after them", had, policy.trials)
    limit = policy.time_limit.total_seconds() if policy.time_limit else float("inf")
    ended: list[Trial] = []
    spent = 0.0
    while len(ended) < policy.trials and spent < limit:
        number, suggested = len(ended) + 1, sampler.suggest()
        pairs = [*((trial, 0.0) for trial in ended), *known]
        twin = next((pair for pair in pairs if pair[0].params == suggested), None)
        if twin is not None:  # it would have the same losses again
            trial, seconds = replace(twin[0], number=number), twin[1]
        else:
            began = clock()
            trial = _tried(number, suggested, measured, sampler)
            seconds = clock() - began
            journal.add(trial, seconds=seconds)
        sampler.learn(trial)
        ended.append(trial)
        spent += seconds
        log.info("trial %d/%d: %s", number, policy.trials, _told(trial, ended, measured))
    if best(ended) is None:
        raise StageError(
            f"All {len(ended)} trials of the search failed; the first said: {ended[0].error}",
            remedy="Correct model.search.space in params.yaml, or the module model.builder.",
        )
    return ended


def _tried(number: int, suggested: Mapping[str, Any], measured: _Measured, sampler: Sampler) -> Trial:
    """Measure a combination on one fold after the other."""
    found: list[float] = []
    folds = len(measured.parts)
    try:
        for fold in measured.parts:
            found.append(measured.loss(fold, suggested))
            if len(found) < folds and sampler.hopeless(found):
                return Trial(number, "pruned", suggested, tuple(found))
    except TooFewRowsError as exc:
        # By time, the first of many folds is fitted on few rows; without, of few folds each is.
        other = "Lower" if measured.schema.time else "Raise"
        raise TooFewRowsError(
            f"Fold {len(found) + 1} of the {folds} of the search: {exc.message}",
            remedy=f"{other} model.search.folds in params.yaml, or widen train.window.",
        ) from exc
    except DataError:
        raise
    except Exception as exc:  # a combination that an estimator refuses says nothing of the others
        return Trial(number, "failed", suggested, tuple(found), _first_line(exc))
    return Trial(number, "complete", suggested, tuple(found))


def _told(trial: Trial, ended: Sequence[Trial], measured: _Measured) -> str:
    leader = best(ended)
    standing = f" (best {leader.loss:.4f}, trial {leader.number})" if leader else ""
    if trial.state == "failed":
        return f"failed: {trial.error}{standing}"
    what = f"{LOSSES[measured.schema.task][0]} {trial.loss:.4f}"
    if trial.state == "pruned":
        return f"{what} after {len(trial.losses)} of {len(measured.parts)} folds, given up{standing}"
    return f"{what}{standing}"


def _first_line(exc: Exception) -> str:
    said = exc.message if isinstance(exc, MlopsError) else f"{type(exc).__name__}: {exc}"
    return next(line.strip() for line in said.splitlines() if line.strip())
