"""Confirmation: which windows count, and which of them together start a retraining."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from mlops.config.params import MonitorParams
from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring.confirmation import Evidence, apart, confirmed_again, confirmed_since

POLICY = MonitorParams(window=timedelta(days=4), min_rows=200)
LATE = timedelta(days=3)

State = Literal["ok", "worse", "unknown"]


def verdict(day: int, state: State) -> QualityVerdict:
    """The quality that is due on a day of January, of rows three days older."""
    end = datetime(2013, 1, day, tzinfo=UTC) - LATE
    window = ServedWindow(end - timedelta(days=4), end, 1000)
    return QualityVerdict(window=window, state=state, rows=900, coverage=0.9, reference_loss=0.5)


def ended(day: int, *, drifted: bool = False, few: bool = False, state: State | None = None) -> DriftReport:
    """A window that ended on this day of January."""
    end = datetime(2013, 1, day, tzinfo=UTC)
    columns = (ColumnVerdict("a", "distance", None, None, "insufficient" if few else "ok"),)
    window = ServedWindow(end - timedelta(days=4), end, 1000)
    quality = verdict(day, state) if state else None
    return DriftReport(window, 9, columns, float(drifted), drifted, quality)


def confirms(reports: list[DriftReport]) -> bool:
    return confirmed_since(reports, policy=POLICY) is not None


def again_confirmed(
    reports: list[DriftReport], again: list[tuple[int, QualityVerdict]], *, started: bool
) -> list[bool]:
    begun = confirmed_again(reports, again, starts_retraining=started, policy=POLICY)
    return [since is not None for since in begun]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], False),
        ([True], False),
        ([True, True], True),
        ([True, False, True], True),
        ([True, True, False, False], False),
    ],
)
def test_drift_is_confirmed_by_k_of_the_last_n(history: list[bool], expected: bool) -> None:
    reports = [ended(4 * number + 5, drifted=raised) for number, raised in enumerate(history)]
    assert confirms(reports) is expected


def test_windows_are_remembered_oldest_first_and_those_that_overlap_much_once() -> None:
    def counted(*days: int) -> list[int]:
        windows = [Evidence(datetime(2013, 1, day, tzinfo=UTC), None) for day in days]
        return [each.end.day for each in apart(windows, gap=timedelta(days=2))]

    assert counted(15, 9, 12) == [9, 12, 15]
    assert counted(15, 14, 19) == [15, 19]
    assert counted(13, 15, 14) == [13, 15]


def test_a_window_of_which_nothing_is_known_is_no_calm_one() -> None:
    calm = [ended(16), ended(20)]
    assert not confirms([ended(12, drifted=True), *calm, ended(24, drifted=True)])
    unknown = [ended(16, few=True, state="unknown"), ended(20, few=True)]
    assert confirms([ended(12, drifted=True), *unknown, ended(24, drifted=True)])


def test_a_loss_that_is_known_is_remembered_without_a_column() -> None:
    worse = [ended(12, few=True, state="worse"), ended(16, few=True, state="ok"), ended(20, drifted=True)]
    assert confirms(worse)
    assert not confirms([*worse[:1], ended(16, few=True, state="ok"), ended(20)])


def test_labels_that_come_late_confirm_though_newer_windows_wait_for_theirs() -> None:
    waiting = [ended(day, state="unknown") for day in (20, 24, 28)]
    assert confirms([ended(12, state="worse"), ended(16, state="worse"), *waiting])
    assert not confirms([ended(12, state="worse"), ended(16, state="ok"), *waiting])


def test_the_first_new_verdict_that_confirms_is_the_only_one() -> None:
    reports = [ended(day, state="unknown") for day in (12, 16, 20, 24)]
    again = [(place, verdict(12 + 4 * place, "worse")) for place in range(3)]
    assert again_confirmed(reports, again, started=False) == [False, True, False]
    assert again_confirmed(reports, again, started=True) == [False, False, False]


def test_a_change_begins_with_the_rows_that_showed_it() -> None:
    late = [ended(12, state="worse"), ended(16, state="worse"), ended(20, state="unknown")]
    assert confirmed_since(late, policy=POLICY) == datetime(2013, 1, 5, tzinfo=UTC)
    columns = [ended(12, drifted=True, state="ok"), ended(16, drifted=True, state="unknown")]
    assert confirmed_since(columns, policy=POLICY) == datetime(2013, 1, 8, tzinfo=UTC)


def test_a_window_that_was_worse_before_confirms_nothing_anew() -> None:
    reports = [ended(12, state="worse"), ended(16, state="worse"), ended(20, state="unknown")]
    again = [(1, verdict(16, "worse"))]
    assert again_confirmed(reports, again, started=False) == [False]
    calm = [reports[0], ended(16, state="ok")]
    assert again_confirmed(calm, again, started=False) == [True]
