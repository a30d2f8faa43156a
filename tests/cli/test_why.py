"""What stands behind a prediction, in a project that nothing runs for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.ledger.drift_report import DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.records import (
    DeploymentServed,
    DeploymentStarted,
    DriftChecked,
    DriftConfirmed,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    QualityChecked,
    RunRequested,
)
from mlops.ledger.served_window import ServedWindow
from mlops.prediction_log import label_log
from mlops.prediction_log.writer import PredictionLog
from mlops.project.context import Project
from tests.flows.orchard import Told
from tests.ledger_rows import made

Say = Callable[..., Told]
RECORD = {
    "id": "0006a1",
    "key": "p7",
    "time": "2026-03-01T10:00:00+00:00",
    "at": "2026-03-01T10:00:02+00:00",
    "deployment": "plums-v3-abc",
    "version": "3",
    "features": {"size": 4.0, "heat": None, "colour": "red"},
    "prediction": True,
    "score": 0.75,
}


@pytest.fixture
def asked(stamp: Path, tmp_path: Path) -> Project:
    """A clone of the still project, in which one row was answered by version 3, which drift brought."""
    root = tmp_path / "plums"
    subprocess.run(["git", "clone", "-q", str(stamp), str(root)], check=True)
    project = Project.at(root)
    record = project.ledger.record
    checked = record(made(DriftChecked), cause=record(made(RunRequested)), as_of=datetime.now(UTC))
    drift = record(made(DriftConfirmed), cause=checked)
    facts: dict[str, Any] = {"version": "3", "digest": "b" * 64}
    registered = record(made(ModelRegistered, run_id="r9", data_md5="d" * 32, **facts), cause=drift)
    judged = record(made(GateJudged), cause=registered)
    promoted = record(ModelPromoted.of(registered.record, fitted_until=None), cause=judged)
    facts["deployment"] = RECORD["deployment"]
    record(made(DeploymentStarted, **facts), cause=promoted)
    record(made(DeploymentServed, target="docker", image="sha256:feed", **facts), cause=promoted)
    log = PredictionLog(project.folder.predictions, "plums-v3-abc")
    log.write([{**RECORD, "id": "0006a0", "key": "p6", "score": 0.0}, RECORD])
    log.close()
    return project


def test_a_prediction_is_shown_with_all_that_stands_behind_it(say: Say, asked: Project) -> None:
    told = say(asked.folder.root, "why", "0006a1")
    assert told.code == 0, told.err
    for part in (
        "0006a1, predicted 2026-03-01 10:00", "key p7", "True, score 0.75", "size = 4.0", "heat = null",
        "none yet", "plums-v3-abc", "a container, image sha256:feed", "version 3, bundle bbbbbbbbbbbb",
        "r9", "cccccccccccc, data version dddddddddddd", "drift.confirmed",
        "Promoted: log loss 0.4845 vs champion 0.4888",
    ):  # fmt: skip
        assert part in told.out, part


def test_the_quality_around_a_prediction_is_shown_and_why_it_is_unknown(say: Say, asked: Project) -> None:
    root, day = asked.folder.root, timedelta(days=1)
    at = datetime.fromisoformat(RECORD["time"])
    assert "not judged yet: `mlops monitor` judges rows that are older" in say(root, "why", "0006a1").out
    window = ServedWindow(at - day, at + day, 90)
    facts: dict[str, Any] = {"window": window, "rows": 0, "coverage": 0.0, "reference_loss": 0.4}
    note = "all 90 rows lack their label, no label has ever come"
    quality = QualityVerdict(state="unknown", note=note, **facts)
    checked = made(
        DriftChecked, version="3", report=DriftReport(window, 9, (), 0.0, drifted=False, quality=quality)
    )
    caused = asked.ledger.record(checked, cause=asked.ledger.newest(), as_of=at + 2 * day)
    assert note in say(root, "why", "0006a1").out
    other = QualityChecked(version="2", confirmed=False, quality=replace(quality, note="of another version"))
    asked.ledger.record(other, cause=caused)
    known = replace(quality, state="worse", worse_than=("baseline",), loss=0.8, look=1, note="")
    asked.ledger.record(QualityChecked(version="3", confirmed=False, quality=known), cause=caused)
    out = " ".join(say(root, "why", "0006a1").out.split())
    assert "Quality worse than a constant prediction (0.8000 vs 0.4000 at training" in out
    assert json.loads(say(root, "why", "0006a1", "--json").out)["quality"]["worse_than"] == ["baseline"]


def test_labels_are_shown_as_they_came_by_key_and_by_id(say: Say, asked: Project, tmp_path: Path) -> None:
    root = asked.folder.root
    for name, value, label in (("plum", "p7", False), ("prediction_id", "0006a1", True)):
        pd.DataFrame({name: [value], "ripe": [label]}).to_parquet(tmp_path / "truth.parquet")
        by = "key" if name == "plum" else "id"
        label_log.add(
            asked.folder.labels,
            pd.read_parquet(tmp_path / "truth.parquet"),
            by=by,  # type: ignore[arg-type]
            schema=asked.schema,
            known=[value],
            at=datetime(2026, 3, 2 if by == "key" else 3, tzinfo=UTC),
        )
    told = json.loads(say(root, "why", "0006a1", "--json").out)
    assert [(label["by"], label["label"]) for label in told["labels"]] == [("key", False), ("id", True)]
    assert (told["commit"], told["run_id"], told["features"]["colour"]) == ("c" * 40, "r9", "red")
    assert (told["target"], told["image"], told["decision"]) == (
        "docker",
        "sha256:feed",
        made(GateJudged).sentence,
    )
    other = say(root, "why", "0006a0").out
    assert "none yet" in other
    assert "score 0.0" in other


def test_an_unknown_id_is_a_usage_error_with_the_way_out(say: Say, asked: Project) -> None:
    told = say(asked.folder.root, "why", "nobody")
    assert told.code == 2
    assert "No prediction nobody" in told.err
    assert "prediction_id" in told.err


def test_a_deployment_that_the_ledger_does_not_know_is_named(say: Say, asked: Project) -> None:
    log = PredictionLog(asked.folder.predictions, "pears-v1")
    log.write([{**RECORD, "id": "elsewhere", "deployment": "pears-v1"}])
    log.close()
    told = say(asked.folder.root, "why", "elsewhere")
    assert told.code == 1
    assert "pears-v1" in told.err
