from __future__ import annotations

import numpy as np
import pytest

from mlops.stats.change_point import last_change

HOW = {"alpha": 0.01, "min_effect": 0.0, "min_tail": 10}


def ar1(n: int, rho: float, rng: np.random.Generator, columns: int = 1) -> np.ndarray:
    out = np.empty((n, columns))
    out[0] = rng.normal(size=columns)
    for i in range(1, n):
        out[i] = rho * out[i - 1] + np.sqrt(1 - rho**2) * rng.normal(size=columns)
    return out


@pytest.mark.statistical
@pytest.mark.parametrize(("rho", "most"), [(0.0, 0.03), (0.5, 0.1)])
def test_a_series_that_did_not_change_seldom_shows_a_change(rho: float, most: float) -> None:
    rng = np.random.default_rng(11)
    found = [last_change(ar1(90, rho, rng), **HOW) > 0 for _ in range(400)]
    assert np.mean(found) <= most


def test_a_step_is_found_where_it_is() -> None:
    rng = np.random.default_rng(5)
    series = 0.3 * ar1(90, 0.3, rng, 5)
    series[60:, 2] += 1.0
    assert abs(last_change(series, **{**HOW, "min_effect": 0.5}) - 60) <= 1


def test_of_several_steps_the_last_counts() -> None:
    series = 0.1 * np.random.default_rng(6).normal(size=(100, 2))
    series[30:, 0] += 1.0
    series[70:, 1] -= 1.0
    assert abs(last_change(series, **HOW) - 70) <= 1


def test_a_step_smaller_than_the_least_effect_is_none() -> None:
    series = 0.01 * np.random.default_rng(7).normal(size=(90, 1))
    series[45:] += 0.08
    assert last_change(series, **HOW) == 45
    assert last_change(series, **{**HOW, "min_effect": 0.1}) == 0


def test_a_short_or_constant_series_has_no_change() -> None:
    assert last_change(np.ones((19, 3)), **HOW) == 0
    assert last_change(np.ones((90, 3)), **HOW) == 0
    assert last_change(np.ones((90, 0)), **HOW) == 0
