from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstwobign

from mlops.stats.ecdf import _KOLMOGOROV, block_variance, ecdf_gap, gap_limit


def test_the_gap_is_the_statistic_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(0)
    for moved in (0.0, 0.4, 3.0):
        one, other = np.sort(rng.normal(size=300)), np.sort(rng.normal(moved, 1, 200))
        assert ecdf_gap(one, other) == pytest.approx(ks_2samp(one, other).statistic)


def test_the_limit_is_the_quantile_of_its_distribution():
    assert kstwobign.sf(_KOLMOGOROV) == pytest.approx(0.001, abs=2e-5)


def test_what_is_displaced_by_less_than_the_slack_makes_no_gap():
    whole = np.sort(np.random.default_rng(0).integers(0, 9, 500)).astype(float)
    assert ecdf_gap(whole, whole + 0.4) > 0.05
    assert ecdf_gap(whole, whole + 0.4, slack=0.5) == 0.0
    assert ecdf_gap(whole, whole + 2.0, slack=0.5) > 0.05


def days(rng, count, rows, effect):
    return rng.normal(0, effect, count).repeat(rows) + rng.normal(size=count * rows)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_days_that_differ_widen_the_limit_by_what_they_differ(effect):
    rng = np.random.default_rng(1)
    values = days(rng, 200, 30, effect)
    between = block_variance(values, np.arange(200).repeat(30), ordered=True)
    assert between == pytest.approx(effect / (1 + effect), abs=0.2)


def test_alike_days_are_beyond_the_limit_as_rarely_as_promised_and_without_days_often():
    rng = np.random.default_rng(2)
    beyond = {True: 0, False: 0}
    for _ in range(100):
        old, new = days(rng, 60, 20, 1.0), days(rng, 20, 20, 1.0)
        between = block_variance(old, np.arange(60).repeat(20), ordered=True)
        gap = ecdf_gap(np.sort(old), np.sort(new))
        for counted in beyond:
            limit = gap_limit((1200, 400), (60, 20), between if counted else 0.0)
            beyond[counted] += gap > limit
    assert beyond[True] <= 2
    assert beyond[False] >= 15  # the negative control
