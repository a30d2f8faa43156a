"""A feature that a person adds to a project that has its data and its model; no server about."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import BUNDLE, LAKE, RAW
from mlops.data.lake import Lake
from mlops.data.source import named_tables
from mlops.errors import MissingColumnError
from mlops.ledger.entry import Entry
from mlops.ledger.records import DeploymentServed, ModelPromoted, RetrainStarted
from mlops.model import bundle
from mlops.orchestration.tasks import ingest as intake
from mlops.orchestration.tasks import monitor
from mlops.prediction_log import label_log
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.project.context import Project
from mlops.project.verdict import verdict
from mlops.rows import Rows
from mlops.stages.pipeline import STAGES
from mlops.task_types.predictions import Predictions
from tests.flows.by_hand import learn
from tests.flows.orchard import A_DAY, BEGIN, plums, stamped
from tests.ledger_rows import made

HISTORY, NEWER, SERVED = 20, 7, 5
AS_OF = (BEGIN + timedelta(days=HISTORY + NEWER + SERVED + 1)).to_pydatetime()
WANTED = '["colour"]'
CATEGORIES = '[name for name, kind in schema.features.items() if kind == "category"]'


def ingest(root: Path, first_day: int, days: int) -> None:
    """Add some days of plums whose table tells the weather, whatever params.yaml names."""
    table = plums(first_day, days, season=0)
    weather = table["heat"].gt(20).map({True: "sun", False: "rain"})
    file = root.parent / f"from-{first_day}.csv"
    table.assign(weather=weather).to_csv(file, index=False)
    assert intake.add_files(root, [file]).outcome.text.startswith(f"{days * A_DAY} rows added")


def fitted_until(root: Path) -> datetime:
    return datetime.fromisoformat(bundle.open(root / BUNDLE).lineage["fitted_until"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose lake knows no weather; its raw files do."""
    root = stamped(tmp_path / "plums")
    module = root / "models" / "plums" / "model.py"
    module.write_text(module.read_text().replace(WANTED, CATEGORIES))
    Tree(root).commit_paths(["models"], "Take every category")
    ingest(root, 0, HISTORY)
    return root


def add_weather(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("features:\n", "features:\n    weather: category\n"))
    Tree(root).commit_paths(["params.yaml"], "Count the weather in")


def weather_of(tree: Path) -> pd.Series:
    return Lake(tree / LAKE).read(Project.at(tree).schema).set_index("plum")["weather"]


def test_training_the_gate_monitoring_and_retraining_go_on(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, first = Project.at(root).ledger, learn(root)
    champion = ledger.record(ModelPromoted.of(first.record, fitted_until=fitted_until(root)), cause=first)
    ledger.record(made(DeploymentServed), cause=champion)
    add_weather(root)
    with pytest.raises(MissingColumnError, match="no column weather"):  # a slip, for all that is known
        DvcTree(root).reproduce(stages=STAGES)
    ingest(root, HISTORY, NEWER)
    with caplog.at_level(logging.INFO, "mlops"):
        registered = learn(root)
    assert "weather is missing in 800 of 1,080 rows, which were ingested without it" in caplog.text
    assert weather_of(root).value_counts()[""] == HISTORY * A_DAY

    project = Project.at(root)
    assert "weather" in project.bundle_of(registered).schema.features
    judged = verdict(project, root, registered)
    assert judged.metric == "log_loss"
    assert judged.comparison is not None
    assert judged.champion_columns == ()

    serve(project, champion, plums(HISTORY + NEWER, SERVED, season=0))
    checked = monitor.check.fn(root, AS_OF)
    watched = {column.column for column in checked.record.report.columns}
    assert watched == {"size", "heat", "colour", "prediction"}

    tree, started = (
        intake.loop_worktree.fn(root),
        ledger.record(RetrainStarted(explicit_as_of=False), as_of=AS_OF),
    )
    assert intake.add_labelled_rows.fn(root, tree, started).record.rows == SERVED * A_DAY
    assert weather_of(tree).value_counts()[""] == (HISTORY + SERVED) * A_DAY


def serve(project: Project, version: Entry, rows: pd.DataFrame) -> None:
    """Log rows as a model of before the weather counted answered them, and tell their labels."""
    log, at, n = PredictionLog(project.folder.predictions, "d1"), datetime.now(UTC), len(rows)
    features = rows[["size", "heat", "colour"]].to_dict("records")
    asked = Rows({}, features, rows["plum"].tolist(), [time.isoformat() for time in rows["picked"]])
    answers = Predictions([True] * n, [0.5] * n)
    ids = [str(i) for i in range(n)]
    log.write(records(asked, answers, ids=ids, at=at, deployment="d1", version=version.record.version))
    log.close()
    table, known = rows[["plum", "ripe"]], set(rows["plum"])
    label_log.add(project.folder.labels, table, by="key", schema=project.schema, known=known, at=at)


def test_a_lake_that_is_built_again_from_the_raw_files_has_the_values_of_before(root: Path) -> None:
    ingest(root, HISTORY, NEWER)
    tree = intake.loop_worktree.fn(root)
    ours = Lake(tree / LAKE).append(plums(90, 1, season=0), Project.at(tree).schema).files
    DvcTree(tree).add(LAKE, new=ours)
    Tree(tree).commit_paths([f"{LAKE}.dvc"], "Add what was served")
    raw = DvcTree(root).files(RAW)

    add_weather(root)
    shutil.rmtree(root / LAKE)
    (root / f"{LAKE}.dvc").unlink()
    assert intake.add_files(root, named_tables("data/raw/*/*", root)).outcome.text.startswith(
        "1,080 rows added"
    )
    assert set(weather_of(root)) == {"rain", "sun"}
    assert DvcTree(root).files(RAW) == raw
    # The loop follows; what it added by itself stays, and lacks the feature.
    weather = weather_of(intake.loop_worktree.fn(root))
    assert len(weather) == 1080 + A_DAY
    assert set(weather[weather == ""].index) == set(plums(90, 1, season=0)["plum"])
