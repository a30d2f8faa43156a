from __future__ import annotations

import numpy as np
import pytest

from mlops.stats.sentinels import sentinels

NORMAL = np.random.default_rng(0).normal(size=5000)


@pytest.mark.parametrize("value", [999.0, -999.0, 1e9, -1.0e6, 99.99, -999.9, float(np.float32(999.9))])
@pytest.mark.parametrize("count", [2, 200, 9000])
def test_a_far_value_that_repeats_is_a_sentinel_however_often(value, count):
    assert sentinels(np.append(NORMAL, [value] * count)) == (value,)


def test_several_sentinels_are_found_beside_a_lone_outlier():
    values = np.concatenate([NORMAL, [-999.0] * 3, [999.0] * 5, [9999.0] * 2, [50.0], [1e5]])
    assert sentinels(values) == (-999.0, 999.0, 9999.0)


def test_a_far_value_that_does_not_repeat_is_none():
    assert sentinels(np.append(NORMAL, 999.0)) == ()


RANDOM = np.random.default_rng(1)
DISTRIBUTIONS = {
    "Cauchy": np.round(RANDOM.standard_cauchy(5000), 1),
    "prices": np.round(RANDOM.lognormal(5, 1.5, 5000)),
    "counts": RANDOM.poisson(1.5, 5000).astype(float),
    "mostly zero": np.where(RANDOM.random(5000) < 0.9, 0, RANDOM.exponential(5, 5000)),
    "two modes": np.concatenate([np.round(NORMAL, 1), np.round(NORMAL + 1000, 1)]),
    "0 and 1": np.repeat([0.0, 1.0], 500),
    "two values": np.repeat([0.0, 100.0], 500),
    "constant": np.full(500, 7.0),
    "missing": np.full(500, np.nan),
    "empty": np.empty(0),
}


@pytest.mark.parametrize("values", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_the_values_of_a_distribution_are_none(values):
    assert sentinels(values) == ()


def test_a_far_measurement_that_the_rows_of_one_hour_share_is_none():
    rain = np.concatenate([np.zeros(4500), np.round(RANDOM.exponential(0.02, 476), 2), [1.21] * 24])
    assert sentinels(rain) == ()
    assert sentinels(np.append(rain, [9.99] * 2)) == (9.99,)


def test_infinities_are_missing():
    assert sentinels(np.append(NORMAL, [np.inf, np.inf, -np.inf, np.nan])) == ()


def test_a_window_s_sentinel_is_far_from_the_reference_as_well():
    shifted = np.append(NORMAL[:500] + 40, [300.0] * 3)
    assert sentinels(shifted, NORMAL * 100) == ()
    assert sentinels(np.array([999.0] * 5), NORMAL) == (999.0,)
