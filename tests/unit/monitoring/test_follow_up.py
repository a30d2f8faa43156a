"""What came after a change is trained on again, until nothing older is fitted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlops.config.params import Params
from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring import follow_up
from mlops.monitoring.confirmation import confirmed_since
from mlops.monitoring.follow_up import is_due

DAY = timedelta(days=1)
WINDOW = 10 * DAY
CHANGE = datetime(2026, 3, 1, tzinfo=UTC)
PARAMS = Params.model_validate(
    {
        "data": {"name": "plums", "target": "ripe", "time": "at", "features": {"size": "number"}},
        "model": {"builder": "m.py", "task": "binary"},
        "train": {"window": "80d", "holdout": "10d", "gap": "1d"},
        "monitor": {"window": "10d", "label_maturity": "1d", "confirm": 1, "of": 2},
    }
)


def due(as_of: datetime, trained_until: datetime) -> bool:
    return is_due(as_of=as_of, since=CHANGE, trained_until=trained_until, maturity=DAY, window=80 * DAY)


def window(end: datetime, *, drifted: bool) -> DriftReport:
    columns = (ColumnVerdict("size", "distance", 0.2, 0.1, "drift" if drifted else "ok"),)
    return DriftReport(ServedWindow(end - WINDOW, end, 900), 900, columns, float(drifted), drifted)


def checked(end: datetime, *before: DriftReport, drifted: bool = False, **changed: object):
    policy = changed.pop("policy", "on_drift")
    params = PARAMS.model_copy(update={"retrain": PARAMS.retrain.model_copy(update={"policy": policy})})
    champion = {"since": CHANGE, "trained_until": CHANGE + 9 * DAY} | changed
    return follow_up.check(window(end, drifted=drifted), before, params, version="2", as_of=end, **champion)


def test_it_is_due_as_long_after_a_training_as_that_was_after_the_change() -> None:
    trained_until = CHANGE + 9 * DAY
    assert due(CHANGE + 19 * DAY, trained_until)
    assert not due(CHANGE + 19 * DAY - timedelta(seconds=1), trained_until)


def test_labels_that_are_not_known_yet_do_not_count() -> None:
    args = {
        "as_of": CHANGE + 19 * DAY,
        "since": CHANGE,
        "trained_until": CHANGE + 9 * DAY,
        "window": 80 * DAY,
    }
    assert is_due(**args, maturity=DAY)
    assert not is_due(**args, maturity=2 * DAY)


def test_a_change_costs_as_many_trainings_as_its_windows_double_and_then_none() -> None:
    trained, trainings = CHANGE + 9 * DAY, []
    for number in range(2, 40):
        end = CHANGE + number * WINDOW
        if due(end, trained):
            trained = end - DAY
            trainings.append(number)
    assert trainings == [2, 4, 8, 16]
    assert trained - 80 * DAY >= CHANGE  # nothing older is fitted


def test_a_model_fitted_wholly_after_the_change_is_not_followed_up() -> None:
    far = CHANGE + 400 * DAY
    assert not due(far, CHANGE + 80 * DAY)
    assert due(far, CHANGE + 80 * DAY - timedelta(seconds=1))


def test_a_calm_window_says_that_a_follow_up_is_due_and_since_when() -> None:
    verdict = checked(CHANGE + 2 * WINDOW)
    assert (verdict.confirmed, verdict.follow_up, verdict.starts_retraining) == (False, True, True)
    assert verdict.since == CHANGE
    assert verdict.sentence == (
        "No drift: 0 of 1 columns drifted, in 900 rows. "
        "A follow-up is due: the rows from after the change of 2026-03-01 00:00 have doubled."
    )


@pytest.mark.parametrize(
    "changed",
    [{"since": None}, {"trained_until": None}, {"policy": "never"}, {"trained_until": CHANGE + 15 * DAY}],
    ids=["no drift asked for it", "without a time", "policy never", "trained since"],
)
def test_nothing_is_followed_up(changed: dict[str, object]) -> None:
    verdict = checked(CHANGE + 2 * WINDOW, **changed)
    assert (verdict.follow_up, verdict.starts_retraining, verdict.since) == (False, False, None)


def test_new_drift_is_a_change_of_its_own_and_no_follow_up() -> None:
    end = CHANGE + 5 * WINDOW
    verdict = checked(end, window(end - WINDOW, drifted=True), drifted=True)
    assert (verdict.confirmed, verdict.follow_up) == (True, False)
    assert verdict.since == end - 2 * WINDOW


def test_a_change_begins_with_the_first_raised_window_of_those_that_confirm_it() -> None:
    end, policy = CHANGE + 9 * WINDOW, PARAMS.monitor.model_copy(update={"of": 2})
    ends = [end - number * WINDOW for number in (3, 2, 1)]
    raised = window(end, drifted=True)

    def since(*drifted: bool) -> datetime | None:
        before = [window(one, drifted=yes) for one, yes in zip(ends, drifted, strict=True)]
        return confirmed_since([*before, raised], policy=policy)

    assert since(False, False, False) == end - WINDOW
    assert since(False, False, True) == end - 2 * WINDOW
    assert since(False, True, True) == end - 3 * WINDOW  # raised before, and nothing was promoted
    assert since(True, True, False) == end - WINDOW
    assert since(True, False, True) == end - 2 * WINDOW
