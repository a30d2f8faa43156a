from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.records import DataVersioned, DeploymentServed, DriftChecked, GateJudged, ModelRegistered
from mlops.ledger.served_window import ServedWindow
from mlops.orchestration import artifacts
from mlops.orchestration.tasks import monitor
from tests.ledger_rows import COMPARISON, made

NOW = datetime(2013, 4, 1, 12, 30, tzinfo=UTC)
SENTENCE = "Drift is confirmed: 1 of 2 columns drifted (dep_hour); invalid: temp, in 9,000 rows."


def column(name, verdict, value=None, threshold=None, note=""):
    return ColumnVerdict(name, "Wasserstein distance", value, threshold, verdict, note)


def checked(quality=None):
    report = DriftReport(
        window=ServedWindow(datetime(2013, 3, 2, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC), 9000),
        reference_rows=20_000,
        columns=(
            column("wind", "ok", 0.02, 0.11),
            column("visib", "insufficient", note="no values to compare"),
            column("dep_hour", "drift", 0.31, 0.1),
            column("temp", "invalid", note="40% missing"),
        ),
        share=0.5,
        drifted=True,
        quality=quality,
    )
    return made(DriftChecked, version="3", confirmed=True, report=report)


def test_what_drifted_is_told_first():
    table = artifacts.columns(checked())
    assert [row["column"] for row in table] == ["dep_hour", "temp", "wind", "visib"]
    assert table[0] == {
        "column": "dep_hour",
        "verdict": "drift",
        "value": "0.3100",
        "threshold": "0.1000",
        "statistic": "Wasserstein distance",
        "note": "",
    }
    assert (table[1]["value"], table[1]["note"]) == ("–", "40% missing")


def test_a_verdict_tells_in_a_line_what_is_wrong_with_each_broken_column():
    assert monitor.summary(Entry("e1", checked(), NOW)).splitlines() == [
        SENTENCE,
        "temp is invalid: 40% missing.",
    ]


def test_a_window_leads_to_its_report_and_to_the_run_of_what_was_judged():
    page = artifacts.window(checked(), report="http://mlflow/report", run="http://mlflow/run")
    for told in (
        "2013-03-02 00:00 to 2013-04-01 00:00 UTC",
        "9,000 served, 20,000 in the reference",
        "(http://mlflow/report)",
        "version 3, [its run in MLflow](http://mlflow/run)",
        "not judged",
    ):
        assert told in page


def test_a_window_with_labels_tells_the_loss_beside_that_at_training():
    quality = QualityVerdict(
        window=ServedWindow(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC), 890),
        state="worse",
        loss=0.41234,
        low=0.39,
        high=0.43,
        reference_loss=0.38,
        baseline_loss=0.4,
        worse_than=("training", "baseline"),
        coverage=0.9,
        rows=800,
    )
    page = artifacts.window(checked(quality), report="", run="")
    assert "worse than at training and worse than a constant prediction (0.4123 vs 0.3800 at training" in page
    assert "800 labelled rows, 2013-02-01 to 2013-03-01" in page


REGISTERED = made(ModelRegistered, version="4")
FIGURES = {
    "holdout": {"log_loss": 0.39, "roc_auc": 0.71},
    "baseline": {"log_loss": 0.45},
    "rows": {"holdout": 8000},
}


def test_a_training_tells_what_it_beat_on_the_same_rows_and_nothing_stored():
    judged = made(GateJudged, comparison=replace(COMPARISON, other_loss=0.4))
    page = artifacts.training(REGISTERED, judged, FIGURES, run="http://mlflow/run")
    assert "[in MLflow](http://mlflow/run)" in page
    assert f"`{'a' * 12}`" in page
    assert (
        "| on the held-out rows | this model | baseline (constant prediction) | previous champion |" in page
    )
    assert "| log loss | 0.3900 | 0.4500 | 0.4000 |" in page
    assert "| roc auc | 0.7100 | – | – |" in page


def test_the_first_model_is_told_without_a_champion():
    judged = made(GateJudged, outcome="first", comparison=None, baseline=COMPARISON)
    page = artifacts.training(REGISTERED, judged, FIGURES, run="")
    assert "| log loss | 0.3900 | 0.4500 |" in page
    assert "champion" not in page


def test_a_deployment_tells_where_what_serves():
    served = Entry("e1", made(DeploymentServed, version="4", target="docker", deployment="flights-v4"), NOW)
    page = artifacts.deployment(served, address="http://127.0.0.1:8080", version="http://mlflow/v4")
    for told in ("http://127.0.0.1:8080", "[version 4](http://mlflow/v4)", "d" * 64, "docker", "2013-04-01"):
        assert told in page


def test_a_version_of_the_data_counts_what_was_added_and_left_out():
    versioned = made(DataVersioned, rows=1200, left_out={"unlabelled": 17})
    page = artifacts.data(versioned)
    assert "- **rows added**: 1,200" in page
    assert "- **left out, unlabelled**: 17" in page


def test_a_page_that_cannot_be_made_fails_nothing(caplog: pytest.LogCaptureFixture):
    def broken():
        raise KeyError("loss")

    with caplog.at_level(logging.WARNING, logger="mlops"):
        artifacts.publish("flights-drift", broken, description="")
    assert "flights-drift" in caplog.text
    assert "KeyError" in caplog.text
