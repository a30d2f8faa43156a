"""Quality: the loss of what was served against the loss at training, and against the baseline's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.params import MonitorParams
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring.quality import (
    Judged,
    Look,
    LossAtTraining,
    judge_losses,
    look_at,
    loss_at_training,
    quality_window,
)

FIRST = Look(1, 0.03)
SURE = LossAtTraining(0.5, 0.0, 20)
POLICY = MonitorParams()
NOW = datetime(2013, 4, 1, tzinfo=UTC)


def losses(seed: int = 0, mean: float = 0.5, days: int = 20, rows: int = 50) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    blocks = np.arange(days).repeat(rows)
    return mean + rng.normal(0, 0.05, days)[blocks] + rng.normal(0, 0.1, days * rows), blocks


def graded(
    mean: float = 0.5, baseline: float = 0.9, at_training: LossAtTraining = SURE, days: int = 20
) -> Judged:
    ours, blocks = losses(mean=mean, days=days)
    return judge_losses(
        ours,
        losses(seed=1, mean=baseline, days=days)[0],
        blocks,
        ordered=True,
        at_training=at_training,
        look=FIRST,
        min_effect=0.1,
    )


def test_quality_as_at_training_raises_no_alarm() -> None:
    assert graded().worse_than == ()
    assert graded(0.3).worse_than == ()


def test_loss_surely_above_trainings_is_worse() -> None:
    assert graded(0.7).worse_than == ("training",)


def test_loss_within_the_least_effect_is_ok() -> None:
    surely_above = graded(0.54, days=100)
    assert surely_above.above_training > 0
    assert surely_above.worse_than == ()


def test_a_loss_at_training_of_which_little_is_known_is_no_proof() -> None:
    assert graded(0.6).worse_than == ("training",)
    vague = graded(0.6, at_training=LossAtTraining(0.5, 0.05, 20))
    assert (vague.worse_than, vague.above_training < 0) == ((), True)


def test_a_loss_above_that_of_a_constant_is_an_alarm_of_its_own() -> None:
    assert graded(0.5, baseline=0.4).worse_than == ("baseline",)
    assert graded(0.7, baseline=0.4).worse_than == ("training", "baseline")
    assert graded(0.5, baseline=0.5).worse_than == ()


def test_the_error_of_the_loss_at_training_covers_what_windows_differ_by() -> None:
    means = [loss_at_training(*losses(seed=seed), ordered=True) for seed in range(40)]
    spread = float(np.std([each.mean for each in means]))
    assert means[0].blocks == 20
    assert np.median([each.error for each in means]) == pytest.approx(spread, rel=0.5)


def test_one_block_at_training_is_as_sure_as_its_rows() -> None:
    ours, _ = losses(days=1, rows=400)
    assert loss_at_training(ours, np.zeros(400, int), ordered=True).error == pytest.approx(
        float(ours.std(ddof=1)) / 20, rel=0.01
    )
    assert loss_at_training([0.3], [0], ordered=True) == LossAtTraining(0.3, 0.0, 1)


def test_the_window_is_as_long_as_that_of_drift_and_ends_where_labels_are_due() -> None:
    policy = MonitorParams(window=timedelta(days=31), label_maturity=timedelta(days=30))
    assert quality_window(NOW, policy) == (NOW - timedelta(days=61), NOW - timedelta(days=30))


def verdict(days: float, state: Literal["ok", "unknown"] = "ok") -> QualityVerdict:
    end = NOW + timedelta(days=days)
    window = ServedWindow(end - POLICY.window, end, 1000)
    return QualityVerdict(window=window, state=state, rows=900, coverage=0.9, reference_loss=0.5)


def test_each_look_at_a_window_has_less_of_alpha_and_all_together_have_it() -> None:
    assert look_at(NOW, [], policy=POLICY).alpha == pytest.approx(0.05 * 0.6079, rel=1e-3)
    alphas = [look_at(NOW, [verdict(0)] * number, policy=POLICY).alpha for number in range(2000)]
    assert alphas == sorted(alphas, reverse=True)
    assert sum(alphas) == pytest.approx(0.05, rel=1e-3)


def test_a_look_at_too_few_labels_costs_nothing() -> None:
    assert look_at(NOW, [verdict(0, "unknown")] * 9, policy=POLICY).number == 1


def test_windows_that_overlap_by_more_than_half_share_their_alpha() -> None:
    weekly = [verdict(days) for days in (-28, -21, -14, -7)]
    assert look_at(NOW, weekly, policy=POLICY).number == 2  # -28, -21, -14 | -7, 0
    assert look_at(NOW, [verdict(-30)], policy=POLICY).number == 1


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_whatever_the_schedule_half_a_window_of_time_has_one_alpha(days: list[int]) -> None:
    judged: list[QualityVerdict] = []
    spent: dict[int, float] = {}
    for day in sorted(days):
        end = NOW + timedelta(days=day)
        spent[day] = spent.get(day, 0) + look_at(end, judged, policy=POLICY).alpha
        judged.append(verdict(day))
    for begin in days:
        assert sum(alpha for day, alpha in spent.items() if begin <= day < begin + 15) <= 2 * POLICY.alpha
