from __future__ import annotations

import numpy as np
import pytest

from mlops.errors import DataError, TooFewRowsError
from mlops.evaluation.scopes import compare_scopes, deciding, scopes_of
from mlops.stats.interval import mean_interval

BLOCKS = np.repeat(np.arange(30), 20)
FOLDS = BLOCKS // 10


def losses(seed, *, gain=0.0, since=0):
    """Losses of a challenger that gains from a day on, and of the champion."""
    rng = np.random.default_rng(seed)
    champion = rng.exponential(0.5, BLOCKS.size)
    noise = rng.normal(0, 0.05, 30)[BLOCKS] + rng.normal(0, 0.2, BLOCKS.size)
    return champion + noise - gain * (since <= BLOCKS), champion


def compared(challenger, champion, **options):
    facts = {"confidence": 0.95, "ordered": True, **options}
    return compare_scopes(challenger, champion, BLOCKS, FOLDS, **facts)


def test_pool_and_newest_fold_have_half_of_alpha_each():
    pool, newest = scopes_of(BLOCKS, FOLDS, confidence=0.95)
    assert (pool.name, newest.name) == ("pool", "newest_fold")
    assert pool.rows.all()
    assert set(BLOCKS[newest.rows]) == set(range(20, 30))
    assert pool.confidence == newest.confidence == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("folds", "limits"),
    [
        (None, {}),
        (np.zeros_like(FOLDS), {}),
        (FOLDS, {"min_rows": 201}),
        (FOLDS, {"min_blocks": 11}),
        (np.where(BLOCKS == 29, 1, 0), {}),
    ],
    ids=["no folds", "one fold", "too few rows", "too few blocks", "one block"],
)
def test_without_a_newest_fold_worth_judging_the_pool_has_all_of_alpha(folds, limits):
    (pool,) = scopes_of(BLOCKS, folds, confidence=0.95, **limits)
    assert (pool.name, pool.confidence) == ("pool", 0.95)


def test_a_scope_has_the_losses_and_the_interval_of_its_rows():
    challenger, champion = losses(0)
    newest = compared(challenger, champion)[1]
    rows = FOLDS == 2
    bounds = mean_interval((challenger - champion)[rows], BLOCKS[rows], confidence=0.975, ordered=True)
    assert (newest.scope, newest.confidence) == ("newest_fold", pytest.approx(0.975))
    assert newest.comparison.rows == rows.sum()
    assert newest.comparison.loss == pytest.approx(challenger[rows].mean())
    assert newest.comparison.other_loss == pytest.approx(champion[rows].mean())
    assert (newest.comparison.low, newest.comparison.high) == pytest.approx((bounds.low, bounds.high))


def test_equals_are_decided_by_no_scope():
    assert deciding(compared(*losses(1))) is None


def test_a_constant_gain_is_decided_by_the_pool():
    scope = deciding(compared(*losses(2, gain=0.1)))
    assert scope is not None
    assert scope.scope == "pool"


def test_a_change_in_the_middle_is_decided_by_the_newest_fold():
    comparisons = compared(*losses(0, gain=0.15, since=16))
    scope = deciding(comparisons)
    assert scope is not None
    assert scope.scope == "newest_fold"
    assert comparisons[0].autocorrelation > 0.4  # what the change looks like, in the pool


def test_an_improvement_below_the_margin_decides_nothing():
    comparisons = compared(*losses(2, gain=0.1))
    assert deciding(comparisons, min_improvement=0.05) is not None
    assert deciding(comparisons, min_improvement=0.1) is None


def test_losses_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="same rows"):
        compare_scopes([0.1, 0.2], [0.1], [0, 0], None, confidence=0.95, ordered=True)
    with pytest.raises(DataError, match="do not belong"):
        compare_scopes([0.1, 0.2], [0.1, 0.1], [0, 1], [0], confidence=0.95, ordered=True)
    with pytest.raises(TooFewRowsError):
        compare_scopes([], [], [], None, confidence=0.95, ordered=True)
