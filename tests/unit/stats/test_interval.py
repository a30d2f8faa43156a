from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlops.errors import DataError, TooFewRowsError
from mlops.stats.interval import mean_interval

CONFIDENCE = 0.95


def days(rng, n_days=10, rows=40, spread=0.3):
    """Losses whose days rise and fall together; the mean is 0."""
    blocks = np.repeat(np.arange(n_days), rows)
    return rng.normal(0, spread, n_days)[blocks] + rng.normal(0, 0.3, n_days * rows), blocks


def interval(values, blocks, *, ordered=True, **options):
    return mean_interval(values, blocks, confidence=CONFIDENCE, ordered=ordered, **options)


def holds_zero(seed, *, n_days=10, by_row=False):
    losses, blocks = days(np.random.default_rng(seed), n_days)
    bounds = interval(losses, np.arange(len(losses)) if by_row else blocks, ordered=not by_row)
    return bounds.low <= 0 <= bounds.high


@pytest.mark.statistical
def test_interval_by_days_holds_what_it_promises():
    assert np.mean([holds_zero(seed, n_days=20) for seed in range(200)]) > 0.92


@pytest.mark.statistical
def test_interval_of_few_days_is_wide_enough():
    assert np.mean([holds_zero(seed, n_days=5) for seed in range(400)]) > 0.9


@pytest.mark.statistical
def test_interval_by_single_rows_does_not():
    """The negative control: without blocks, noise is promoted."""
    assert np.mean([holds_zero(seed, by_row=True) for seed in range(100)]) < 0.6


def test_independent_blocks_of_equal_size_have_students_interval():
    losses, blocks = days(np.random.default_rng(3))
    means = losses.reshape(10, -1).mean(axis=1)
    bounds = interval(losses, blocks, ordered=False)
    expected = stats.t.interval(CONFIDENCE, 9, means.mean(), stats.sem(means))
    assert (bounds.low, bounds.high) == pytest.approx(expected)
    assert bounds.autocorrelation == 0


def test_blocks_without_autocorrelation_are_as_blocks_without_an_order():
    rng = np.random.default_rng(4)
    means = np.tile([0.3, -0.3], 10) + rng.normal(0, 0.01, 20)  # a negative one counts as none
    blocks = np.repeat(np.arange(20), rng.integers(5, 50, 20))
    ordered, unordered = (interval(means[blocks], blocks, ordered=flag) for flag in (True, False))
    assert ordered.autocorrelation < 0.05
    assert ordered.low == pytest.approx(unordered.low, rel=0.1)


def test_neighbours_that_resemble_each_other_widen_the_interval():
    wave, blocks = np.sin(np.arange(30) / 4), np.arange(30)
    shuffled = np.random.default_rng(0).permutation(30)
    near, far = interval(wave, blocks), interval(wave, shuffled)
    assert near.autocorrelation > 0.8
    assert near.high - near.low > 2 * (far.high - far.low)


def test_a_step_between_folds_is_not_taken_for_dependence():
    losses, blocks = days(np.random.default_rng(5), 30, spread=0.05)
    losses[blocks >= 10] -= 1
    folds = blocks // 10
    by_fold, whole = interval(losses, blocks, folds=folds), interval(losses, blocks)
    assert by_fold.mean == whole.mean
    assert by_fold.autocorrelation < 0.3 < 0.8 < whole.autocorrelation
    assert by_fold.high - by_fold.low < 0.2 * (whole.high - whole.low)


def test_missing_days_are_gaps():
    """Days that are ten apart hardly resemble each other, however alike neighbours are."""
    wave = np.sin(np.arange(30) / 4)
    dense, sparse = interval(wave, np.arange(30)), interval(wave, np.arange(30) // 2 * 20 + np.arange(30) % 2)
    assert sparse.high - sparse.low < 0.7 * (dense.high - dense.low)


def test_interval_ignores_the_order_of_rows_and_the_origin_of_time():
    losses, blocks = days(np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(len(losses))
    one, other = interval(losses, blocks), interval(losses[order], blocks[order] + 16_000)
    assert (other.low, other.high) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_interval_scales_with_its_values(scale):
    losses, blocks = days(np.random.default_rng(7))
    one, other = interval(losses, blocks), interval(scale * losses, blocks)
    assert (other.low, other.high) == pytest.approx((scale * one.low, scale * one.high))
    assert other.autocorrelation == pytest.approx(one.autocorrelation)


def test_the_numbers_of_folds_are_names():
    losses, blocks = days(np.random.default_rng(8), 30)
    folds = blocks // 10
    named = interval(losses, blocks, folds=folds * 7 - 3)
    assert named.high == pytest.approx(interval(losses, blocks, folds=folds).high)


def test_a_day_that_two_folds_share_is_one_block():
    losses, blocks = days(np.random.default_rng(9), 20)
    halves = np.arange(losses.size) // (losses.size // 2)
    shared = np.where(np.arange(losses.size) < losses.size // 2 + 15, 0, 1)
    bounds = interval(losses, blocks, folds=shared)
    assert bounds.blocks == 20
    assert bounds.high == pytest.approx(interval(losses, blocks, folds=halves).high, abs=0.03)


def test_many_blocks_are_joined():
    losses, blocks = days(np.random.default_rng(2), 5_000, rows=2, spread=0.3)
    bounds, plain = interval(losses, blocks), interval(losses, blocks, ordered=False)
    assert bounds.blocks == 5_000
    assert bounds.high - bounds.low == pytest.approx(plain.high - plain.low, rel=0.3)


def test_one_block_gives_a_point():
    bounds = interval([1.0, 3.0], [7, 7])
    assert (bounds.low, bounds.mean, bounds.high) == (2.0, 2.0, 2.0)


def test_folds_of_one_block_each_are_one_fold():
    losses, blocks = days(np.random.default_rng(6), 3)
    assert interval(losses, blocks, folds=blocks) == interval(losses, blocks)


def test_equal_losses_have_no_width():
    bounds = interval(np.full(30, 0.25), np.arange(30) // 3)
    assert (bounds.low, bounds.high) == pytest.approx((0.25, 0.25))


def test_bad_values_are_refused():
    with pytest.raises(DataError, match="do not belong"):
        interval([0.1, 0.2], [0])
    with pytest.raises(DataError, match="do not belong"):
        interval([0.1, 0.2], [0, 1], folds=[0])
    with pytest.raises(DataError, match="Row 1"):
        interval([0.1, np.inf], [0, 1])
    with pytest.raises(TooFewRowsError):
        interval([], [])
