from __future__ import annotations

import numpy as np
import pytest

from mlops.stats.robust import CLIP, scaled, spread

NORMAL = np.random.default_rng(0).normal(3.0, 2.0, 20_000)


def of(values):
    return spread(*np.unique(np.asarray(values, float), return_counts=True))


def test_of_a_normal_distribution_they_are_mean_and_deviation():
    assert of(NORMAL) == pytest.approx((3.0, 2.0), rel=0.03)


def test_a_fifth_of_the_values_may_be_anything():
    assert of(np.append(NORMAL, [1e12] * 4000)) == pytest.approx((3.5, 2.7), rel=0.05)


@pytest.mark.parametrize("share", [0.6, 0.95, 0.985, 0.9995])
def test_where_most_values_are_one_the_spread_is_that_of_wider_ranges(share):
    values = np.where(np.random.default_rng(1).random(20_000) < share, 0.0, np.abs(NORMAL))
    middle, width = of(values)
    assert middle == 0.0
    assert 0 < width < 10


@pytest.mark.parametrize("value", [0.0, 3.0, -1e9])
def test_a_constant_has_a_spread_too(value):
    middle, width = of([value] * 9)
    assert middle == value
    assert 0 < width <= max(1.0, abs(value)) * 1e-3


def test_values_are_clipped_and_those_without_a_count_say_nothing_of_the_scale():
    places = scaled(np.array([-1e9, -1.0, 0.0, 1.0, 1e9]), np.array([0, 1, 2, 1, 0]))
    assert places[[0, -1]].tolist() == [-CLIP, CLIP]
    assert places[2] == 0.0
    assert np.all(np.diff(places) > 0)
