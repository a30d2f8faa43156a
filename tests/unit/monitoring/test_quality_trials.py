"""A worse model is noticed when its late labels come, and an unchanged one is not called worse."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import quality_trials

SEED = 11


def outcomes(title: str, delay: int, trials: int = 2) -> list[quality_trials.Outcome]:
    scenario = next(one for one in quality_trials.scenarios() if (one.title, one.delay) == (title, delay))
    seeds = np.random.SeedSequence(SEED).spawn(trials)
    return [quality_trials.trial(scenario, seed) for seed in seeds]


@pytest.mark.statistical
@pytest.mark.parametrize("delay", [30, 90])
def test_a_loss_higher_by_a_fifth_is_known_within_a_window_of_its_labels(delay: int) -> None:
    found = outcomes("worse by 20%", delay)
    assert all(one.within for one in found)
    assert not any(one.before for one in found)  # the negative control: rows of the drift window


@pytest.mark.statistical
def test_days_that_resemble_each_other_are_not_called_worse() -> None:
    assert sum(one.false for one in outcomes("no change, day effects", 30)) == 0
