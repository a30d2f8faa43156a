"""What a follow-up rests on: the change a champion was trained for, and what was trained on since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlops.ledger.drift_report import DriftReport, ServedWindow
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import Window
from mlops.ledger.records import (
    DriftChecked,
    DriftConfirmed,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    RetrainStarted,
)
from mlops.monitoring.retraining import trained_until
from mlops.orchestration.tasks import retrain
from mlops.orchestration.tasks.monitor import trained_for
from mlops.project.context import Project
from tests.ledger_rows import made, promoted

CHANGE = datetime(2026, 3, 1, tzinfo=UTC)
FITTED = CHANGE + timedelta(days=9)


def checked(project: Project, **facts: object) -> Entry[DriftChecked]:
    report = DriftReport(ServedWindow(CHANGE, FITTED, 900), 900, (), 0.0, drifted=True)
    facts = {"version": "1", "raised": True, "confirmed": True, "report": report, "since": CHANGE} | facts
    return project.ledger.record(DriftChecked(**facts), cause=project.promoted(), as_of=FITTED)  # type: ignore[arg-type]


def retrained(project: Project, drift: Entry[DriftConfirmed] | None) -> Entry[ModelPromoted]:
    """Record what a retraining for this drift leaves; None for a person's."""
    ledger = project.ledger
    started = ledger.record(RetrainStarted(explicit_as_of=False), cause=drift)
    registered = ledger.record(made(ModelRegistered, version="2", run_id="r2"), cause=started)
    judged = ledger.record(made(GateJudged, version="2"), cause=registered)
    return ledger.record(made(ModelPromoted, version="2", fitted_until=FITTED), cause=judged)


def until(project: Project, champion: Entry[ModelPromoted]) -> datetime | None:
    judged = (entry.record for entry in project.ledger.entries(GateJudged))
    return trained_until(judged, champion.id, fitted_until=champion.record.fitted_until)


def test_a_champion_of_a_retraining_on_drift_was_trained_for_its_change(project: Project) -> None:
    assert trained_for(project, promoted(project.ledger)) is None
    drift = retrain.confirm(project, checked(project))
    assert trained_for(project, retrained(project, drift)) == CHANGE


def test_a_follow_up_goes_on_with_the_change_that_it_follows_up(project: Project) -> None:
    promoted(project.ledger)
    drift = retrain.confirm(project, checked(project, confirmed=False, follow_up=True))
    assert drift.record.sentence == (
        "A follow-up is due: the rows from after the change of 2026-03-01 00:00 have doubled."
    )
    assert retrain.pending_drift(project) == [drift]
    assert trained_for(project, retrained(project, drift)) == CHANGE


def test_a_persons_retraining_follows_nothing_up(project: Project) -> None:
    promoted(project.ledger)
    checked(project)
    assert trained_for(project, retrained(project, None)) is None


def test_a_calm_window_calls_for_no_retraining(project: Project) -> None:
    promoted(project.ledger)
    checked(project, raised=False, confirmed=False, since=None)
    assert retrain.pending_drift(project) == []


def test_rows_that_the_gate_rejected_a_challenger_on_were_trained_on(project: Project) -> None:
    champion = promoted(project.ledger, fitted_until=FITTED)
    assert until(project, champion) == FITTED
    later = Window(FITTED, FITTED + timedelta(days=5))

    def rejected(version: str, promotion: str) -> None:
        registered = project.ledger.record(made(ModelRegistered, version=version, run_id=f"r{version}"))
        verdict = made(GateJudged, version=version, promote=False, window=later, promotion=promotion)
        project.ledger.record(verdict, cause=registered)

    rejected("3", "another")
    assert until(project, champion) == FITTED
    rejected("4", champion.id)
    assert until(project, champion) == later.end


def test_without_a_time_column_nothing_says_until_when_it_was_trained(project: Project) -> None:
    assert until(project, promoted(project.ledger, fitted_until=None)) is None
