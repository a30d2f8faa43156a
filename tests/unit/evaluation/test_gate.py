from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.params import GateParams
from mlops.errors import DataError, TooFewRowsError
from mlops.evaluation import gate
from mlops.evaluation.gate import compare
from mlops.ledger.judgement import Comparison, RefitCheck, ScopeComparison, Window
from mlops.stats.interval import Interval, mean_interval

POLICY = GateParams(min_rows=100, min_blocks=5)
SKILL = Interval(0.02, 0.01, 0.03, 9321, 10)
USUAL = {"confidence": 0.95, "ordered": True}


def comparison(better=0.02, half=0.01, *, champion=0.51, rows=9321, blocks=10):
    return Comparison(rows, blocks, champion - better, champion, -better, -better - half, -better + half)


REFIT = RefitCheck(rows=300, loss=0.4, limit=0.45)


def scopes(pool, newest=None):
    """What is compared: the pool alone, or the newest fold too, half of alpha each."""
    if pool is None:
        return ()
    if newest is None:
        return (ScopeComparison("pool", 0.95, 0.0, pool),)
    return (ScopeComparison("pool", 0.975, 0.2, pool), ScopeComparison("newest_fold", 0.975, 0.1, newest))


def decide(pool, against_baseline, skill, policy, *, newest=None, refit=REFIT, **facts):
    return gate.decide(
        scopes(pool, newest), against_baseline, skill, policy, version="2", refit=refit, **facts
    )


def days(rng, n_days=10, rows=40, spread=0.3):
    """Losses whose days rise and fall together; the mean is 0."""
    blocks = np.repeat(np.arange(n_days), rows)
    return rng.normal(0, spread, n_days)[blocks] + rng.normal(0, 0.3, n_days * rows), blocks


def test_better_challenger_is_promoted_with_the_numbers_in_a_sentence():
    seen = Comparison(9321, 10, 0.4931, 0.5127, -0.0196, -0.027, -0.0121)
    verdict = decide(seen, comparison(0.1), SKILL, POLICY)
    assert verdict.promote
    assert verdict.sentence == (
        "Promoted: log loss 0.4931 vs champion 0.5127 "
        "(−0.0196, 95% CI −0.0270 to −0.0121; 9,321 rows, 10 days)."
    )


def test_worse_challenger_is_refused():
    verdict = decide(comparison(-0.02), comparison(0.1), SKILL, POLICY)
    assert not verdict.promote
    assert verdict.sentence == (
        "Rejected: improvement not significant. log loss 0.5300 vs champion 0.5100 "
        "(0.0200, 95% CI 0.0100 to 0.0300; 9,321 rows, 10 days)."
    )


def test_challenger_that_may_be_no_better_is_refused():
    assert not decide(comparison(0.005, half=0.01), comparison(0.1), SKILL, POLICY).promote


def test_improvement_below_the_asked_margin_is_refused():
    policy = POLICY.model_copy(update={"min_improvement": 0.015})
    assert decide(comparison(0.02, half=0.004), comparison(0.1), SKILL, policy).promote
    refused = decide(comparison(0.02, half=0.006), comparison(0.1), SKILL, policy)
    assert not refused.promote
    assert "improvement not significantly above 0.0150" in refused.sentence


@pytest.mark.parametrize("skill", [0.0, 0.01])
def test_challenger_whose_answers_may_not_rise_with_the_truth_is_refused(skill):
    unsure = Interval(skill, skill - 0.01, skill + 0.01, 900, 9)
    verdict = decide(comparison(0.02), comparison(0.1), unsure, POLICY)
    assert not verdict.promote
    assert "no significant skill" in verdict.sentence


@pytest.mark.parametrize("few", [{"rows": 99}, {"blocks": 4}])
def test_too_few_rows_or_blocks_are_refused(few):
    verdict = decide(comparison(0.02, **few), comparison(0.1), SKILL, POLICY)
    assert not verdict.promote
    assert "too few rows" in verdict.sentence
    assert "gate.min_rows is 100, gate.min_blocks 5" in verdict.sentence


def test_first_model_is_promoted_and_its_worth_told():
    good, poor = (decide(None, seen, SKILL, POLICY) for seen in (comparison(0.1), comparison(0.0)))
    assert good.promote
    assert poor.promote
    assert "not significantly" not in good.sentence
    assert "vs baseline (constant prediction)" in good.sentence
    assert "not significantly better than the baseline" in poor.sentence
    assert "too few rows" in decide(None, comparison(rows=9), SKILL, POLICY).sentence


def test_a_first_model_that_is_surely_worse_than_a_constant_is_rejected_with_the_way_out():
    worse = Comparison(41, 12, 1.9596, 1.4365, 0.5230, 0.0265, 1.0196)
    verdict = decide(None, worse, SKILL, POLICY)
    assert (verdict.promote, verdict.outcome) == (False, "worse_than_baseline")
    assert verdict.sentence == (
        "Rejected: significantly worse than the baseline. log loss 1.9596 vs baseline (constant prediction) "
        "1.4365 (0.5230, 95% CI 0.0265 to 1.0196; 41 rows, 12 days). Change model.params in params.yaml (the "
        "other algorithm, fewer trees or more regularisation) or add rows, and train again."
    )
    perhaps = decide(None, replace(worse, low=0.0), SKILL, POLICY)
    assert perhaps.promote
    assert "not significantly better than the baseline" in perhaps.sentence
    # A challenger is compared with the champion: in a strange week both may be worse than a constant.
    assert decide(comparison(0.02), worse, SKILL, POLICY).promote


finite = st.floats(-1, 1)


@given(finite, finite, st.floats(0, 1), st.floats(0, 1))
def test_verdict_is_monotone_in_the_improvement(champion, baseline, more, half):
    before = decide(comparison(champion, half), comparison(baseline, half), SKILL, POLICY)
    after = decide(comparison(champion + more, half), comparison(baseline + more, half), SKILL, POLICY)
    assert after.promote >= before.promote


@given(st.integers(0, 1000))
def test_verdict_is_monotone_in_the_rows(rows):
    few, more = (decide(comparison(rows=n), comparison(0.1), SKILL, POLICY) for n in (rows, rows + 50))
    assert more.promote >= few.promote


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_comparison_moves_with_its_losses(seed, shift):
    losses, blocks = days(np.random.default_rng(seed))
    zero = np.zeros_like(losses)
    one = compare(losses, zero, blocks, **USUAL)
    other = compare(losses - shift, zero, blocks, **USUAL)
    assert other.low == pytest.approx(one.low - shift)
    assert other.high == pytest.approx(one.high - shift)


def test_comparison_ignores_the_order_of_rows():
    losses, blocks = days(np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(len(losses))
    one = compare(losses, np.zeros_like(losses), blocks, **USUAL)
    other = compare(losses[order], np.zeros_like(losses), blocks[order], **USUAL)
    assert other.low == pytest.approx(one.low)
    assert (other.rows, other.blocks) == (400, 10)


def test_losses_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="same rows"):
        compare([0.1, 0.2], [0.1], [0, 0], **USUAL)
    with pytest.raises(DataError, match="do not belong"):
        compare([0.1, 0.2], [0.1, 0.1], [0], **USUAL)


def test_loss_that_is_not_finite_is_named():
    with pytest.raises(DataError, match="Row 1"):
        compare([0.1, np.inf], [0.1, 0.1], [0, 1], **USUAL)


def test_no_rows_are_too_few():
    with pytest.raises(TooFewRowsError):
        compare([], [], [], **USUAL)


def test_rows_of_their_own_are_not_called_days() -> None:
    losses = np.full(30, 0.5)
    alone, daily = (
        compare(losses, losses + 0.1, blocks, confidence=0.95, ordered=True)
        for blocks in (np.arange(30), np.arange(30) // 3)
    )
    skill = mean_interval(np.ones(30), np.arange(30), **USUAL)
    said = [decide(None, seen, skill, GateParams(min_rows=10)).sentence for seen in (alone, daily)]
    assert "; 30 rows)" in said[0]
    assert "; 30 rows, 10 days)" in said[1]


def test_the_verdict_holds_every_figure_it_was_decided_on():
    window = Window(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 11, tzinfo=UTC))
    seen, baseline = comparison(0.02), comparison(0.1)
    verdict = decide(seen, baseline, SKILL, POLICY, promotion="p1", champion="1", window=window)
    assert (verdict.version, verdict.promotion, verdict.champion) == ("2", "p1", "1")
    assert (verdict.comparison, verdict.baseline, verdict.window) == (seen, baseline, window)
    assert (verdict.metric, verdict.confidence) == (POLICY.metric, POLICY.confidence)
    assert verdict.skill is not None
    assert (verdict.skill.covariance, verdict.skill.low, verdict.skill.high) == (0.02, 0.01, 0.03)
    assert (verdict.limits.min_rows, verdict.limits.min_blocks) == (POLICY.min_rows, POLICY.min_blocks)


def test_the_newest_fold_may_decide_alone():
    gained, older = comparison(0.3, half=0.1, rows=900, blocks=10), comparison(0.01, half=0.05)
    verdict = decide(older, comparison(0.1), SKILL, POLICY, newest=gained)
    assert verdict.promote
    assert (verdict.comparison, verdict.scope) == (gained, "newest_fold")
    assert [scope.comparison for scope in verdict.scopes] == [older, gained]
    assert "97.5% CI" in verdict.sentence
    assert "900 rows, 10 days of the newest fold)" in verdict.sentence
    assert not decide(older, comparison(0.1), SKILL, POLICY).promote


def test_where_no_scope_decides_the_pool_is_shown():
    verdict = decide(comparison(0.0), comparison(0.1), SKILL, POLICY, newest=comparison(0.005, rows=900))
    assert (verdict.promote, verdict.scope) == (False, "pool")


def test_rows_that_are_too_few_to_compare_on_are_counted():
    until = datetime(2013, 1, 5, tzinfo=UTC)
    scarce = gate.reject_scarce(
        POLICY, version="2", rows=40, blocks=2, promotion="p1", champion="1", fitted_until=until
    )
    assert not scarce.promote
    assert scarce.sentence == (
        "Rejected: too few rows to compare on. 40 rows, 2 days later than those that the champion was fitted "
        "on (2013-01-05 00:00), less the gap; gate.min_rows is 100, gate.min_blocks 5. Train again when "
        "newer rows have their labels."
    )


@pytest.mark.parametrize("pool", [None, comparison(0.02)])
def test_a_refit_that_lost_what_its_recipe_knew_is_rejected(pool):
    worse = RefitCheck(rows=300, loss=0.46, limit=0.45)
    verdict = decide(pool, comparison(0.1), SKILL, POLICY, refit=worse)
    assert (verdict.promote, verdict.outcome) == (False, "refit_worse")
    assert "It has log loss 0.4600 on the newest fold's 300 rows, above 0.4500" in verdict.sentence
    assert decide(pool, comparison(0.1), SKILL, POLICY, refit=RefitCheck(300, 0.45, 0.45)).promote


def test_a_refit_that_predicts_no_number_is_rejected():
    verdict = decide(None, comparison(0.1), SKILL, POLICY, refit=RefitCheck(300, None, 0.45, unpredicted=2))
    assert not verdict.promote
    assert "predicts no finite number for 2 rows of 300" in verdict.sentence


def test_the_refit_is_held_to_the_upper_bound_of_its_newest_fold():
    losses, blocks = days(np.random.default_rng(0))
    limit = mean_interval(losses, blocks, **USUAL).high
    at, above = (
        gate.check_refit(np.full(len(losses), loss), losses, blocks, unpredicted=0, **USUAL)
        for loss in (limit - 1e-9, limit + 1e-9)
    )
    assert at.limit == limit
    assert at.passed
    assert not above.passed
    assert not gate.check_refit(np.full(len(losses), np.nan), losses, blocks, unpredicted=1, **USUAL).passed


def test_another_decision_rule_alone_is_promoted_and_its_effect_counted():
    facts = {"champion": "1", "promotion": "p1", "decision": "threshold 0.2", "champion_decision": None}
    verdict = gate.accept_decision(POLICY, version="2", rows=1200, changed_rows=87, **facts)
    assert (verdict.promote, verdict.outcome) == (True, "decision_changed")
    assert verdict.sentence == (
        "Promoted: the champion's model with another decision rule, threshold 0.2 instead of the likeliest "
        "label. 87 held-out rows of 1,200 get another label; scores are the same."
    )
