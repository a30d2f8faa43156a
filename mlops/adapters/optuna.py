"""What a search tries next, by Optuna's TPE, and what it gives up, by the median of the others.

The study lives in memory and is told of the trials that ended: what is suggested follows from the
seed, the number of the trial and the trials before it, in whichever process.
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

from mlops.config.params import AxisParams
from mlops.files.hashing import of_value
from mlops.model.trials import Trial

__all__ = ["OptunaSampler"]

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaSampler:
    """The `Sampler` of a search.

    Parameters
    ----------
    space
        Per parameter what it may be.
    pruning
        Whether anything is given up: after five complete trials, what is worse than the median of
        them at the same fold.
    """

    def __init__(self, space: Mapping[str, AxisParams], *, seed: int, pruning: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the search has lines of its own
        self._seed = seed
        self._space = {name: _distribution(axis) for name, axis in space.items()}
        self._pruner = MedianPruner(n_startup_trials=5) if pruning else NopPruner()
        self._past: list[Trial] = []

    def suggest(self) -> dict[str, Any]:
        """Return the next combination of the space's parameters."""
        return dict(self._study().ask(self._space).params)

    def hopeless(self, losses: Sequence[float]) -> bool:
        """Tell whether the combination suggested last may be given up after its first folds."""
        trial = self._study().ask()
        for step in range(1, len(losses) + 1):
            trial.report(fmean(losses[:step]), step)
        return bool(trial.should_prune())

    def learn(self, trial: Trial) -> None:
        """Take in a trial that has ended, suggested by this sampler or by an earlier one like it."""
        self._past.append(trial)

    def _study(self) -> optuna.Study:
        # Made anew for each trial: one that went on in memory would hold what no other process knows.
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
    assert axis.low is not None  # as params.yaml was checked
    assert axis.high is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the last step does not end at `high`
        if axis.is_whole:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
