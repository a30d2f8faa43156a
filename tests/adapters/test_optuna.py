"""What Optuna suggests and gives up: the same, whichever process asks."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from mlops.adapters.optuna import OptunaSampler
from mlops.config.search_params import AxisParams
from mlops.model.trials import Trial
from mlops.training.search import Sampler

SPACE = {
    "rate": AxisParams(low=0.01, high=0.3, log=True),
    "leaves": AxisParams(low=4, high=30, step=4),
    "share": AxisParams(low=0.5, high=1, step=0.25),
    "kind": AxisParams.model_validate(["hist", 2, None, True]),
}


def sampler(seed: int = 1, *, pruning: bool = True) -> OptunaSampler:
    return OptunaSampler(SPACE, seed=seed, pruning=pruning)


def ended(number: int, params: dict[str, Any]) -> Trial:
    loss = abs(params["rate"] - 0.1) + params["leaves"] / 100
    if number % 7 == 0:
        return Trial(number, "failed", params, (), "refused")
    if number % 5 == 0:
        return Trial(number, "pruned", params, (loss,))
    return Trial(number, "complete", params, (loss, loss + 0.1))


def tried(by: Sampler, trials: int, past: list[Trial] | None = None) -> list[Trial]:
    found = list(past or [])
    for trial in found:
        by.add(trial)
    for number in range(len(found) + 1, trials + 1):
        found.append(ended(number, by.suggest()))
        by.add(found[-1])
    return found


def test_what_is_suggested_lies_in_the_space() -> None:
    for trial in tried(sampler(), 30):
        assert 0.01 <= trial.params["rate"] <= 0.3
        assert trial.params["leaves"] in range(4, 31, 4)
        assert type(trial.params["leaves"]) is int
        assert trial.params["share"] in (0.5, 0.75, 1.0)
        assert trial.params["kind"] in ("hist", 2, None, True)


def test_a_resumed_search_suggests_what_the_unbroken_one_would_have() -> None:
    whole = tried(sampler(), 30)

    for killed_at in (1, 12, 29):
        assert tried(sampler(), 30, whole[:killed_at]) == whole


def test_the_seed_decides_and_what_was_learnt_does() -> None:
    whole = tried(sampler(), 25)

    assert tried(sampler(2), 1)[0].params != whole[0].params
    assert tried(sampler(), 2)[1].params != tried(sampler(), 1)[0].params
    worse = [Trial(t.number, "complete", t.params, (1 / t.number, 1.0)) for t in whole[:20]]
    assert tried(sampler(), 21, worse)[20].params != whole[20].params


def test_it_learns_where_the_losses_are_low() -> None:
    trials = tried(sampler(), 60)

    def mean(part: list[Trial]) -> float:
        return sum(abs(trial.params["rate"] - 0.1) for trial in part) / len(part)

    assert mean(trials[40:]) < mean(trials[:10])


def test_what_is_worse_than_the_median_at_the_same_fold_is_pruned() -> None:
    past = [Trial(n, "complete", sampler(n).suggest(), (n / 10, n / 10)) for n in range(1, 6)]
    pruning, patient, early = sampler(), sampler(pruning=False), sampler()
    for trial in past:
        pruning.add(trial)
        patient.add(trial)
    for trial in past[:4]:
        early.add(trial)

    assert pruning.should_prune([0.31])
    assert not pruning.should_prune([0.29])
    assert pruning.should_prune([0.9, 0.31])
    assert not pruning.should_prune([0.5, 0.01])  # 0.255 on both
    assert not patient.should_prune([0.31])
    assert not early.should_prune([0.31])


def test_it_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tried(sampler(), 12)

    assert capfd.readouterr() == ("", "")
