"""A proven broken column keeps drift from retraining; a person decides otherwise, or takes it for normal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from mlops.ledger.drift_report import ColumnVerdict, DriftReport, ServedWindow
from mlops.ledger.entry import Entry
from mlops.ledger.records import DriftChecked, DriftConfirmed, RetrainRefused, RetrainStarted
from mlops.orchestration.tasks import retrain
from mlops.project.context import Project
from tests.ledger_rows import promoted

END = datetime(2026, 3, 11, tzinfo=UTC)
NOTE = "from 2026-03-05 on the values are the earlier ones times 100: another unit"

claim: Callable[..., Entry] = retrain.claim.fn  # type: ignore[attr-defined]


@pytest.fixture
def drift(project: Project) -> Entry[DriftConfirmed]:
    promoted(project.ledger)
    columns = (
        ColumnVerdict("size", "d", 3.0, 0.2, "invalid", NOTE),
        ColumnVerdict("heat", "d", 0.9, 0.2, "drift"),
    )
    report = DriftReport(ServedWindow(END - timedelta(days=6), END, 900), 900, columns, 1.0, drifted=True)
    checked = DriftChecked(
        version="1", raised=True, confirmed=True, report=report, since=END - timedelta(days=6)
    )
    return retrain.confirm(project, project.ledger.record(checked, cause=project.promoted(), as_of=END))


def test_drift_with_a_broken_column_starts_nothing_and_the_ways_out_are_named(
    project: Project, drift: Entry[DriftConfirmed]
) -> None:
    refused = claim(project.folder.root, None, drift.id)
    assert isinstance(refused.record, RetrainRefused)
    assert refused.record.rule == "invalid"
    for part in (NOTE, "monitor.accept", "mlops retrain"):
        assert part in refused.record.reason


def test_an_accepted_break_lets_the_same_drift_retrain(
    project: Project, drift: Entry[DriftConfirmed]
) -> None:
    params = project.folder.root / "params.yaml"
    params.write_text(params.read_text().replace("monitor:\n", "monitor:\n  accept: [size]\n"))
    assert isinstance(claim(project.folder.root, None, drift.id).record, RetrainStarted)


def test_a_person_may_retrain_and_is_told_what_is_trained_on_as_served(
    project: Project, drift: Entry[DriftConfirmed], caplog: pytest.LogCaptureFixture
) -> None:
    started = claim(project.folder.root, END, None)
    assert isinstance(started.record, RetrainStarted)
    assert drift.as_of == started.as_of
    assert f"size is broken and is trained on as served: {NOTE}." in caplog.text
