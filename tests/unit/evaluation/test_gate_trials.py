from __future__ import annotations

from functools import cache

import pytest

from benchmarks import gate_trials

SEED = 1_000


@cache
def promotions(title: str, rho: float, trials: int = 200) -> gate_trials.Outcome:
    scenario = next(one for one in gate_trials.scenarios() if (one.title, one.rho) == (title, rho))
    return gate_trials.outcome(scenario, trials, [SEED, round(10 * rho)])


@pytest.mark.statistical
@pytest.mark.parametrize(("rho", "most"), [(0.0, 0.03), (0.6, 0.07), (0.8, 0.14)])
def test_equals_are_seldom_promoted(rho, most):
    assert promotions("equals", rho).promoted <= most


@pytest.mark.statistical
def test_days_taken_for_independent_promote_equals():
    """The negative control: without the dependence of days, equals win in one trial of six."""
    assert promotions("equals", 0.6).independent > 0.1


@pytest.mark.statistical
def test_a_change_inside_the_fresh_rows_costs_little_power():
    after = promotions("change on day 9", 0.6, 100)
    assert after.promoted >= 0.85
    assert after.whole < 0.6  # the negative control: neither folds nor scopes
