from __future__ import annotations

import pytest

from benchmarks import broken_trials

SEED = 7


def verdicts(title: str, trials: int = 3) -> list[str]:
    scenario = next(one for one in broken_trials.scenarios() if one.title == title)
    return [broken_trials.trial(scenario, SEED + number, windows=1).verdict for number in range(trials)]


@pytest.mark.statistical
@pytest.mark.parametrize(
    "title",
    ["×2 from one day to the next", "×10 from one day to the next", "a new region takes 60% of the rows"],
)
def test_growth_and_a_new_majority_retrain(title: str) -> None:
    assert verdicts(title) == ["retrains"] * 3


@pytest.mark.statistical
@pytest.mark.parametrize(
    "title", ["×0.01 from one day to the next", "°C, then °F, days like their neighbours"]
)
def test_another_unit_is_blocked(title: str) -> None:
    assert verdicts(title) == ["blocked"] * 3
