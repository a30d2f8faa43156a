"""A champion's quality on real files: judged when its labels are due, and again as they come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.records import DriftChecked, ModelPromoted, QualityChecked
from mlops.ledger.served_window import ServedWindow
from mlops.prediction_log import label_log
from mlops.prediction_log.writer import PredictionLog
from mlops.project import champion_quality
from mlops.project.context import Project
from tests.ripening import BEGIN, PARAMS, ripening

DAYS, A_DAY = 60, 8
MONITOR = "monitor: {window: 10d, label_maturity: 20d, min_rows: 40, confirm: 2, of: 2}\n"
DUE = BEGIN + timedelta(days=60)
"""When the labels of the days 30 to 40 are due."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Version 1 was promoted again, and has served eight plums a day for two months."""
    root = ripening(tmp_path / "plums")
    (root / "params.yaml").write_text(PARAMS + MONITOR)
    log = PredictionLog(root / ".mlops" / "predictions", "plums-v1b")
    rng = np.random.default_rng(3)
    times = [BEGIN + timedelta(days=number / A_DAY) for number in range(DAYS * A_DAY)]
    log.write(
        [
            {
                "id": f"q{number:04}",
                "key": f"k{number}",
                "time": time.isoformat(),
                "at": time.isoformat(),
                "deployment": "plums-v1b",
                "version": "1",
                "features": {"size": 4.0, "colour": "red"},
                "prediction": 1,
                "score": float(rng.uniform(0.6, 0.9)),
            }
            for number, time in enumerate(times)
        ]
    )
    log.close()
    project = Project.at(root)
    first = project.ledger.entries(ModelPromoted)[0].record
    project.ledger.record(first, cause=project.ledger.newest())
    yield project
    project.ledger.close()


def promotion(project: Project) -> Entry[ModelPromoted]:
    return project.ledger.entries(ModelPromoted)[-1]


def add_labels(project: Project, first: int, last: int, *, ripe: bool, minute: int = 0) -> None:
    """Add the labels of the plums of some days."""
    keys = [f"k{number}" for number in range(first * A_DAY, last * A_DAY)]
    label_log.add(
        project.folder.labels,
        pd.DataFrame({"plum": keys, "ripe": ripe}),
        by="key",
        schema=project.schema,
        known=keys,
        at=datetime(2026, 4, 1, 12, minute, tzinfo=UTC),
    )


def monitored(project: Project, as_of: datetime) -> Entry[DriftChecked]:
    """Judge and record as `mlops monitor` does, with calm columns."""
    subject = promotion(project)
    checked = project.ledger.find(DriftChecked, cause=subject.id, as_of=as_of)
    quality = champion_quality.judge(project, subject, as_of, current=checked is None)
    if checked is None:
        window = ServedWindow(as_of - timedelta(days=10), as_of, 80)
        columns = (ColumnVerdict("size", "distance", 0.0, 0.1, "ok"),)
        report = DriftReport(window, 80, columns, 0.0, drifted=False, quality=quality.current)
        record = DriftChecked(version="1", raised=report.raised, confirmed=False, report=report)
        checked = project.ledger.record(record, cause=subject, as_of=as_of)
    champion_quality.record_again(project, quality, checked)
    return checked


def again(project: Project) -> list[QualityChecked]:
    """Return the later verdicts on the windows of this test; the project has one of its own."""
    records = [entry.record for entry in project.ledger.entries(QualityChecked)]
    return [record for record in records if record.quality.window.start >= BEGIN + timedelta(days=30)]


def test_labels_that_come_late_are_judged_once_and_corrected_ones_again(project: Project) -> None:
    checked = monitored(project, DUE)
    quality = checked.record.report.quality
    assert quality is not None
    assert (quality.state, quality.window.start) == ("unknown", BEGIN + timedelta(days=30))
    assert "no label has come since 2026-03-02" in checked.record.sentence
    assert "`mlops labels add FILE`" in checked.record.sentence

    add_labels(project, 30, 40, ripe=True)
    monitored(project, DUE)
    [first] = again(project)
    assert (first.quality.state, first.quality.rows, first.look) == ("ok", 80, 1)
    monitored(project, DUE)
    assert again(project) == [first]

    add_labels(project, 30, 40, ripe=False, minute=1)
    monitored(project, DUE)
    monitored(project, DUE)
    [_, corrected] = again(project)
    assert corrected.quality.worse_than == ("training", "baseline")
    assert (corrected.look, corrected.confirmed) == (2, False)

    add_labels(project, 30, 40, ripe=True, minute=2)
    monitored(project, DUE)
    assert [one.look for one in again(project)] == [1, 2, 3]


def test_a_worse_quality_that_is_known_late_starts_a_retraining_then_and_one_alone(project: Project) -> None:
    from mlops.orchestration.tasks import retrain

    first, second = DUE, DUE + timedelta(days=10)
    for as_of in (first, second):
        monitored(project, as_of)
    add_labels(project, 30, 50, ripe=False)
    now = DUE + timedelta(days=40)
    assert not monitored(project, now).record.raised
    assert [one.confirmed for one in again(project)] == [False, True]
    [drift] = [each for each in retrain.pending_drift(project) if each.as_of == now]
    assert drift.record.columns == ()
    assert drift.record.since == BEGIN + timedelta(days=30)


def test_verdicts_under_an_earlier_promotion_of_a_version_are_looks_too(project: Project) -> None:
    add_labels(project, 30, 40, ripe=True)
    monitored(project, DUE)
    back = project.ledger.record(promotion(project).record, cause=monitored(project, DUE))
    quality = champion_quality.judge(project, back, DUE, current=True)
    assert quality.current is not None
    assert (quality.current.look, list(quality.windows)) == (2, [])


def test_a_champion_that_served_nothing_that_old_says_so(project: Project) -> None:
    checked = monitored(project, BEGIN - timedelta(days=300))
    assert "version 1 served no row between 2025-02-05" in checked.record.sentence


def test_a_maturity_longer_than_the_history_is_no_error(project: Project) -> None:
    (project.folder.root / "params.yaml").write_text(PARAMS + MONITOR.replace("20d", "2000d"))
    checked = monitored(Project.at(project.folder.root), DUE)
    assert "whose labels are due by now" in checked.record.sentence
