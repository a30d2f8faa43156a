"""Hyperparameter suggestions by Optuna's TPE sampler, and pruning by its median pruner.

The study is built in memory from the finished trials: a suggestion depends on the seed, the trial's
number and the trials before it, not on the process.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from mlops.config.search_params import AxisParams
from mlops.files.hashing import of_value
from mlops.model.trials import Trial

__all__ = ["OptunaSampler"]

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaSampler:
    """The `Sampler` of a search.

    Parameters
    ----------
    space
        Range or choices per parameter.
    pruning
        Whether to prune: after five complete trials, a trial that is worse than their median at the
        same fold.
    """

    def __init__(self, space: Mapping[str, AxisParams], *, seed: int, pruning: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the search logs its trials itself
        self._seed = seed
        self._space = {name: _distribution(axis) for name, axis in space.items()}
        self._pruner = MedianPruner(n_startup_trials=5) if pruning else NopPruner()
        self._past: list[Trial] = []

    def suggest(self) -> dict[str, Any]:
        """Return the next values of the space's parameters."""
        return dict(self._study().ask(self._space).params)

    def should_prune(self, losses: Sequence[float]) -> bool:
        """Return whether to prune the last suggestion, given the losses of its first folds."""
        trial = self._study().ask()
        for step in range(1, len(losses) + 1):
            trial.report(fmean(losses[:step]), step)
        return bool(trial.should_prune())

    def add(self, trial: Trial) -> None:
        """Add a finished trial, suggested by this sampler or by an earlier one with the same seed."""
        self._past.append(trial)

    def _study(self) -> optuna.Study:
        # Rebuilt for each trial: a study kept in memory would have state that another process lacks.
        number = len(self._past)
        sampler = TPESampler(seed=int(of_value([self._seed, number])[:8], 16))
        study = optuna.create_study(sampler=sampler, pruner=self._pruner)
        study.add_trials([self._frozen(trial) for trial in self._past])
        return study

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return create_trial(
            state=_STATES[trial.state],
            value=trial.loss,
            params=dict(trial.params),
            distributions=self._space,
            intermediate_values={
                step: fmean(trial.losses[:step]) for step in range(1, len(trial.losses) + 1)
            },
        )


def _distribution(axis: AxisParams) -> BaseDistribution:
    if axis.choices is not None:
        return CategoricalDistribution(axis.choices)
    assert axis.low is not None  # params.yaml is validated
    assert axis.high is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a range that is no multiple of the step
        if axis.is_whole:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
