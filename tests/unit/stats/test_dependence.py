from __future__ import annotations

import numpy as np
import pytest

from mlops.stats.dependence import BlockMeans, variance
from mlops.stats.mixed_model import NUGGET, PRIOR, RHO


def series(rho, days=40, rows=20, *, seed=0, count=3):
    """Rows of days whose effects are an autoregression, shape (n_rows, count), and each row's day."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(days, count))
    for day in range(1, days):
        effects[day] = rho * effects[day - 1] + np.sqrt(1 - rho**2) * effects[day]
    day = np.arange(days).repeat(rows)
    return effects[day] + rng.normal(size=(day.size, count)), day


def spread(values, day, **size):
    blocks = BlockMeans.of(values, day)
    size = {"window_blocks": 30, "window_rows": np.full(values.shape[1], 600.0), **size}
    return variance(blocks, **size)


def mean(of):
    return (of.weights * of.values).sum(axis=0)


@pytest.mark.parametrize("gap", [0, 9])
def test_the_filter_agrees_with_the_matrices(gap):
    """The likelihood and the variance of one series, computed as `mlops.stats.mixed_model` does."""
    values, day = series(0.6, count=1)
    day = np.where(day >= 20, day + gap, day)
    found = spread(values, day)
    blocks = BlockMeans.of(values, day)
    means, noise, n = blocks.mean[:, 0], blocks.within[0] / 20, len(blocks.time)
    ones, share = np.ones(n), np.full(n, 1 / n)
    centring = np.eye(n) - 1 / n
    weights, variances = [], []
    for rho, prior in zip(RHO, PRIOR, strict=True):
        apart = np.abs(blocks.time[:, None] - blocks.time)
        correlation = (1 - NUGGET) * rho**apart + NUGGET * np.eye(n)
        beyond = ((means - means.mean()) ** 2).sum() - (n - 1) * noise
        effects = max(beyond, 0) / np.trace(correlation @ centring)
        covariance = effects * correlation + noise * np.eye(n)
        inverse = np.linalg.inv(covariance)
        information = ones @ inverse @ ones
        squares = means @ inverse @ means - (ones @ inverse @ means) ** 2 / information
        likelihood = np.linalg.slogdet(covariance)[1] + np.log(information) + (n - 1) * np.log(squares)
        weights.append(prior * np.exp(-likelihood / 2))
        lags = np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
        window = ((1 - NUGGET) * rho**lags + NUGGET * np.eye(30)).sum() / 900 * effects
        whole = share @ covariance @ share + window + blocks.within[0] / 600
        variances.append(whole * squares / (n - 1))
    assert found.values[:, 0] == pytest.approx(variances, rel=1e-6)
    assert found.weights[:, 0] == pytest.approx(np.array(weights) / np.sum(weights), rel=1e-6)
    assert found.freedom.tolist() == [n - 1]


def test_dependent_days_widen_it_and_independent_ones_hardly():
    calm, dependent = (mean(spread(*series(rho, 120, count=20))) for rho in (0.0, 0.8))
    # Var of a mean of 120 independent days and of one of 30: (1 + 1/20) (1/120 + 1/30).
    assert np.median(calm) == pytest.approx(1.05 * (1 / 120 + 1 / 30), rel=0.4)
    assert np.median(dependent) > 3 * np.median(calm)


def test_series_do_not_depend_on_one_another_nor_on_the_order_of_rows():
    values, day = series(0.5)
    together = spread(values, day)
    order = np.random.default_rng(0).permutation(len(day))
    shuffled = spread(values[order], day[order])
    alone = spread(values[:, [1]], day, window_rows=np.array([600.0]))
    assert together.of(slice(1, 2)).values == pytest.approx(alone.values)
    assert together.values == pytest.approx(shuffled.values)


def test_missing_values_and_days_without_one_count_nowhere():
    values, day = series(0.5, count=1)
    some = np.where(np.isin(day, [3, 4, 9])[:, None], np.nan, values)
    left_out = ~np.isin(day, [3, 4, 9])
    assert spread(some, day).values == pytest.approx(spread(values[left_out], day[left_out]).values)
    assert spread(some, day).weights == pytest.approx(spread(values[left_out], day[left_out]).weights)


def test_a_constant_has_no_variance_and_no_warning():
    found = spread(np.full((200, 2), 3.0), np.arange(20).repeat(10))
    assert found.values.tolist() == np.zeros_like(found.values).tolist()
    assert np.isfinite(found.weights).all()
