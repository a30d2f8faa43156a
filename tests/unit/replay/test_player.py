"""A policy over a small history: what is served, decided and trained."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from mlops.errors import DataError
from mlops.replay.fit_cache import Memory
from tests.unit.replay.conftest import A_DAY, BEGIN, DAY, FIRST, SOURCE, STEP, STEPS, Player, history, params

pytestmark = pytest.mark.statistical

CHANGE = FIRST + 3 * STEP
AFTER = slice(6, None)
"""The steps that begin three steps after a change."""


def mean(played, steps: slice) -> float:
    return float(np.mean([step.loss for step in played.steps[steps]]))


def kinds(played, *wanted: str) -> list[str]:
    return [one.kind for one in played.decisions if one.kind in wanted]


def test_never_serves_the_first_model_to_the_end(played: Player) -> None:
    never = played("never", history())
    assert {step.version for step in never.steps} == {1}
    assert [one.kind for one in never.decisions] == ["first"]
    assert (never.trainings, never.promotions) == (0, 0)
    assert [step.rows for step in never.steps] == [STEP * A_DAY] * STEPS


def test_always_refits_at_each_step_and_asks_no_gate(played: Player) -> None:
    always = played("always", history(change_day=CHANGE))
    assert [step.version for step in always.steps] == list(range(1, STEPS + 1))
    assert kinds(always, "promoted", "rejected", "window") == []
    assert always.trainings == always.promotions == STEPS


def test_a_change_is_learnt_by_the_policy_that_looks_for_drift_with_fewer_trainings(played: Player) -> None:
    rows = history(change_day=CHANGE)
    never, always, loop = (played(name, rows) for name in ("never", "always", "on_drift"))
    assert mean(never, AFTER) > 2 * mean(always, AFTER)
    assert mean(loop, AFTER) < 1.3 * mean(always, AFTER)
    assert 1 <= loop.trainings <= always.trainings / 2
    assert "promoted" in kinds(loop, "promoted")


def test_where_nothing_changes_nothing_is_promoted_and_the_loss_is_that_of_never(played: Player) -> None:
    never, loop = (played(name, history()) for name in ("never", "on_drift"))
    assert loop.promotions == 0
    assert loop.loss == never.loss


def test_a_policy_on_the_loss_sees_no_column(played: Player) -> None:
    # The features move, and the label with them: nothing is lost.
    rows = history(change_day=CHANGE, moved=0.0)
    rows.loc[rows["at"] >= BEGIN + CHANGE * DAY, "z"] += 5.0
    still = history()
    still.loc[still["at"] >= BEGIN + CHANGE * DAY, "z"] += 5.0
    assert kinds(played("on_loss", still), "promoted", "rejected", "refused") == []
    assert kinds(played("on_drift", still), "promoted", "rejected", "refused") != []
    judged = played("on_loss", rows)
    assert kinds(judged, "promoted") != []
    assert all(one.sentence.startswith("Loss ") for one in judged.decisions if one.kind == "window")


def test_an_interval_and_a_number_of_rows_request_retrainings(played: Player) -> None:
    rows = history()
    assert played("every=12d", rows).trainings == STEPS // 2
    assert played("every=1d", rows).trainings == STEPS
    assert played(f"rows={2 * STEP * A_DAY}", rows).trainings == STEPS // 2


def test_a_retraining_on_drift_waits_for_the_cooldown_and_a_requested_one_does_not(played: Player) -> None:
    settings = params(retrain={"cooldown": "1000d"})
    rows = history(change_day=CHANGE)
    rows.loc[rows["at"] >= BEGIN + (CHANGE + 4 * STEP) * DAY, "z"] += 5.0
    waiting, without = played("on_drift", rows, settings=settings), played("on_drift", rows)
    assert "retrain.cooldown lasts until" in waiting.decisions[-1].sentence
    assert waiting.promotions == 0 < without.promotions  # it counts from the first model on
    requested = played("every=6d", rows, settings=settings)
    assert [one for one in requested.decisions if "cooldown" in one.sentence] == []


def test_params_as_they_are_never_retrain_on_drift_where_they_say_so(played: Player) -> None:
    settings = params(retrain={"policy": "never"})
    rows = history(change_day=CHANGE)
    as_is = played("params", rows, settings=settings)
    assert as_is.trainings == 0
    assert "retrain.policy in params.yaml is never" in as_is.decisions[-1].sentence
    assert played("on_drift", rows, settings=settings).trainings > 0


def test_params_with_a_schedule_retrain_at_its_interval(played: Player) -> None:
    settings = params(retrain={"policy": "never"}, schedule={"retrain": "12d"})
    assert played("params", history(), settings=settings).trainings == STEPS // 2


def test_labels_that_come_late_delay_what_is_learnt(played: Player) -> None:
    late = params(train={"gap": "6d", "holdout": "6d"}, monitor={"label_maturity": "6d"})
    rows = history(change_day=CHANGE)
    soon, later = played("always", rows), played("always", rows, settings=late, delay=6 * DAY)
    step = CHANGE // STEP - FIRST // STEP + 1  # the first that begins after the change
    assert soon.steps[step].loss < 0.8 * later.steps[step].loss
    assert later.steps[step + 2].loss < 0.8 * later.steps[step].loss


def test_rows_whose_label_never_comes_are_served_and_not_counted(played: Player) -> None:
    rows = history()
    hidden = np.random.default_rng(0).random(len(rows)) < 0.3
    rows["y"] = rows["y"].astype(object).where(~hidden, None)
    some = played("on_drift", rows)
    assert all(0 < step.labelled < step.rows for step in some.steps)
    assert sum(step.labelled for step in some.steps) == int((~hidden)[FIRST * A_DAY :].sum())


def test_too_small_a_share_of_labels_refuses_a_retraining(played: Player) -> None:
    rows = history(change_day=CHANGE)
    hidden = (rows["at"] >= BEGIN + FIRST * DAY) & (np.arange(len(rows)) % 3 != 0)
    rows["y"] = rows["y"].astype(object).where(~hidden, None)
    refused = [one.sentence for one in played("every=6d", rows).decisions if one.kind == "refused"]
    assert refused
    assert "retraining needs 50%" in refused[0]


def test_a_first_model_of_one_class_is_an_error_with_the_way_out(played: Player) -> None:
    rows = history()
    rows["y"] = np.where(rows["at"] < BEGIN + (FIRST + 2) * DAY, True, rows["y"])
    with pytest.raises(DataError, match=r"first model cannot be trained .* Fold \d") as error:
        played("never", rows)
    assert "--start" in error.value.remedy


def test_a_training_of_one_class_is_refused_and_the_replay_goes_on(played: Player) -> None:
    rows = history()
    rows.loc[(rows["at"] >= BEGIN + FIRST * DAY) & (rows["at"] < BEGIN + (FIRST + 36) * DAY), "y"] = True
    always = played("always", rows)
    assert "refused" in kinds(always, "refused")
    assert len(always.steps) == STEPS


def test_policies_that_train_on_the_same_rows_share_the_fit(played: Player, tmp_path) -> None:
    counted = tmp_path / "fits"
    source = (
        SOURCE
        + f"""
def _counted(build):
    def counting(params, schema):
        with open({str(counted)!r}, "a") as file:
            file.write("1")
        return build(params, schema)
    return counting

build = _counted(build)
""".encode()
    )
    cache = Memory()
    played("every=6d", history(), cache=cache, source=source)
    fits = len(counted.read_text())
    assert fits == (3 + 1) * (STEPS + 1)
    played("every=6d", history(), cache=cache, source=source)
    played("always", history(), cache=cache, source=source)
    assert len(counted.read_text()) == fits


def test_a_step_without_a_row_has_no_loss(played: Player) -> None:
    rows = history()
    gap = (rows["at"] >= BEGIN + (FIRST + STEP) * DAY) & (rows["at"] < BEGIN + (FIRST + 2 * STEP) * DAY)
    holes = played("on_drift", rows[~gap].reset_index(drop=True))
    assert (holes.steps[1].rows, holes.steps[1].loss) == (0, None)
    assert holes.loss is not None
    assert timedelta(days=STEP) == holes.steps[1].end - holes.steps[1].start


def test_too_few_days_with_rows_for_the_folds_or_the_gate_are_refused_by_name(played: Player) -> None:
    rows, few = history(), params(retrain={"min_rows": 50}, gate={"min_rows": 50})
    days = ((rows["at"] - BEGIN) // DAY).to_numpy()

    def refused(every: int) -> str:
        sparse = rows[(days < FIRST) | (days % every == 0)].reset_index(drop=True)
        often = played("every=6d", sparse, settings=few)
        assert often.trainings == 0
        return " ".join(one.sentence for one in often.decisions if one.kind == "refused")

    assert "gate.min_blocks 5" in refused(6)
    assert "which fold 1 of 3 fits" in refused(18)


def test_after_a_promotion_what_came_since_the_change_is_trained_on_again_whenever_it_has_doubled(
    played: Player,
) -> None:
    rows = history()
    new = rows["at"] >= BEGIN + (FIRST + STEP) * DAY
    chance = 1 / (1 + np.exp(-2 * rows.loc[new, "x"] - 2.5))
    rows.loc[new, "y"] = np.random.default_rng(2).random(int(new.sum())) < chance
    settings = params(train={"window": "48d", "holdout": "6d", "folds": 1}, retrain={"cooldown": "500d"})
    assert played("on_loss", rows, settings=settings).promotions == 0

    settings = params(train={"window": "48d", "holdout": "6d", "folds": 1}, retrain={"cooldown": "12d"})
    loop = played("on_loss", rows, settings=settings)
    promoted = next(one.as_of for one in loop.decisions if one.kind == "promoted")
    due = [one.as_of for one in loop.decisions if "A follow-up is due" in one.sentence]
    assert [(moment - promoted) // (STEP * DAY) + 1 for moment in due] == [2, 4, 8]
    trained = [one.as_of for one in loop.decisions if one.kind in ("promoted", "rejected")]
    assert trained[-3:] == due


def test_labels_that_take_longer_than_two_windows_confirm_a_worse_loss_when_they_come(
    played: Player,
) -> None:
    late, delay = params(train={"folds": 1, "holdout": "6d"}, monitor={"confirm": 2, "of": 2}), 14 * DAY
    loop = played("on_loss", history(change_day=CHANGE, moved=0.0), settings=late, delay=delay)
    windows = [one.sentence for one in loop.decisions if one.kind == "window"]
    labels = [one for one in loop.decisions if one.kind == "labels"]
    assert all("lack their label, no label has come since" in sentence for sentence in windows)
    confirmed = next(one for one in labels if one.sentence.startswith("Drift is confirmed by newer labels"))
    assert "worse than at training and worse than a constant prediction" in confirmed.sentence
    # Two windows after the change have all of their labels.
    assert confirmed.as_of <= BEGIN + (CHANGE + 2 * STEP) * DAY + delay + STEP * DAY
    assert any(one.as_of == confirmed.as_of for one in loop.decisions if one.kind in ("refused", "promoted"))


def test_labels_that_come_with_their_window_are_looked_at_once(played: Player) -> None:
    assert kinds(played("on_loss", history(change_day=CHANGE)), "labels") == []
