"""Training: what the flow `train` leaves in DVC, git, MLflow and the ledger."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.files import hashing
from mlops.ledger.entry import Entry
from mlops.ledger.records import GateJudged, ModelMarked, ModelPromoted
from mlops.project.context import Project
from mlops.project.up_to_date import unchanged_outcome
from mlops.project.verdict import champion_view
from mlops.rows import parse_rows
from mlops.stages.pipeline import STAGES
from tests.flows.orchard import Orchard
from tests.tiny import ROWS, SCHEMA, tiny_bundle


@pytest.fixture(scope="module")
def promoted(trained: Orchard) -> Entry:
    return trained.project.ledger.entries(ModelPromoted)[0]


@pytest.fixture(scope="module")
def run(trained: Orchard, promoted: Entry) -> Any:
    return MlflowClient(trained.project.folder.mlflow_uri).get_run(promoted.record.run_id)


def test_the_first_model_is_promoted_because_of_a_judgement_of_a_registration(
    trained: Orchard, promoted: Entry
) -> None:
    ledger = trained.project.ledger
    judged = ledger.get(promoted.cause or "")
    assert judged is not None
    assert judged.kind == "gate.judged"
    assert judged.record.sentence.startswith("Promoted as the first model")
    registered = ledger.get(judged.cause or "")
    assert registered is not None
    assert (registered.kind, registered.record.digest) == ("model.registered", promoted.record.digest)


def test_the_run_carries_parameters_metrics_and_the_version_of_the_data(
    trained: Orchard, promoted: Entry, run: Any
) -> None:
    assert run.info.status == "FINISHED"
    assert run.data.params["train.window"] == "13d"
    assert run.data.params["model.seed"] == "7"
    assert 0 < run.data.metrics["holdout/log_loss"] < run.data.metrics["holdout_baseline/log_loss"]
    fitted, held = run.inputs.dataset_inputs
    assert (fitted.dataset.name, held.dataset.name) == ("plums-train", "plums-holdout")
    # As dvc.lock names what their files hold.
    lock = Tree(trained.root).read("dvc.lock", promoted.record.commit) or ""
    for data in (fitted, held):
        assert f"md5: {data.dataset.digest}\n" in lock
        assert promoted.record.data_md5 == json.loads(data.dataset.source)["version"]


def test_the_run_names_the_commit_that_holds_its_lock(trained: Orchard, promoted: Entry, run: Any) -> None:
    tree = Tree(trained.root)
    tags = set(run.data.tags.values())
    assert promoted.record.commit in tags
    held = tree.read("dvc.lock", promoted.record.commit)
    assert held is not None
    assert hashing.of_bytes(held.encode()) in tags
    assert held == (trained.root / "dvc.lock").read_text()


def test_the_run_reads_well_in_mlflows_own_lists(promoted: Entry, run: Any) -> None:
    assert re.fullmatch(r"train 2026-01-2\d · \d+ rows", run.info.run_name)
    tags = run.data.tags
    assert tags["mlflow.source.name"] == "flows/train.py"
    assert tags["mlflow.source.git.branch"] == "main"
    assert tags["mlflow.note.content"].startswith("Predicts `ripe`, a binary label.")
    assert tags["mlops.gate"] == "promoted"
    assert tags["mlops.gate.reason"].startswith("Promoted as the first model")
    assert f"/flow-runs/flow-run/{tags['mlops.flow_run']})" in tags["mlflow.note.content"]


def test_the_champion_alias_names_the_promoted_digest(trained: Orchard) -> None:
    champion = trained.project.registry.find("champion")
    assert champion is not None
    assert champion.digest == trained.project.promoted().record.digest
    assert "challenger" not in champion.aliases


def test_dvc_has_nothing_to_do_after_the_flow(trained: Orchard) -> None:
    def dvc(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *words],
            cwd=trained.root,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    before = (trained.root / "dvc.lock").read_bytes()
    assert "up to date" in dvc("status")
    assert "Data and pipelines are up to date." in dvc("repro")
    assert (trained.root / "dvc.lock").read_bytes() == before


def test_training_again_finds_the_run_and_moves_nothing(trained: Orchard) -> None:
    def state() -> Any:
        project = trained.project
        versions = MlflowClient(project.folder.mlflow_uri).search_model_versions()
        rows = [entry.id for entry in project.ledger.entries()]
        return Tree(trained.root).head(), rows, [(v.version, v.run_id) for v in versions]

    # Against a champion that came since, a model is judged anew, once.
    trained.flow("train")
    before = state()
    trained.flow("train")
    assert state() == before


def test_where_nothing_changed_the_verb_tells_the_run_that_exists(trained: Orchard, promoted: Entry) -> None:
    trained.flow("train")
    project = trained.project
    told = unchanged_outcome(project)
    assert told is not None
    assert promoted.record.run_id in told.text
    before = flow_runs(trained)
    assert trained.mlops("train").out == told.text + "\n"
    assert flow_runs(trained) == before


def test_an_edit_of_what_is_trained_with_is_new(trained: Orchard) -> None:
    params = trained.root / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("strength: 1.0", "strength: 2.0"))
    try:
        assert unchanged_outcome(trained.project) is None
    finally:
        params.write_text(text)
    assert unchanged_outcome(trained.project) is not None


def test_to_find_nothing_new_takes_neither_prefect_nor_mlflow(trained: Orchard) -> None:
    program = (
        "import sys; from mlops.cli import main\n"
        f"sys.argv = ['mlops', '--project', {str(trained.root)!r}, 'train']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'prefect', 'mlflow', 'sklearn', 'evidently'}\n"
        "sys.stderr.write(' '.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Nothing changed")
    assert done.stderr == ""


def test_the_ledger_tells_that_mlflow_shows_what_was_decided(trained: Orchard, promoted: Entry) -> None:
    ledger = trained.project.ledger
    [marked] = ledger.effects(promoted, ModelMarked)
    assert marked.record.alias == "champion"
    for judged in ledger.entries(GateJudged):
        assert ledger.find(ModelMarked, cause=judged.id) is not None


def test_the_same_file_again_adds_nothing(trained: Orchard) -> None:
    head = Tree(trained.root).head()
    outcome = trained.flow("ingest", file=trained.root / ".mlops" / "history.parquet")
    assert outcome.text.startswith("Nothing new: history.parquet was ingested on ")
    assert Tree(trained.root).head() == head


def flow_runs(orchard: Orchard) -> int:
    return int(orchard.ask("POST", "/flow_runs/count", {}))


PLUMS = """\
data: {{name: plums, target: ripe, key: plum, features: {features}}}
model: {{builder: models/plums/model.py, task: binary}}
train: {{window: 30d, holdout: 30d, gap: 1d}}
"""


def held_out(tree: Path, features: str, extra: pd.DataFrame | None = None) -> pd.DataFrame:
    """What a training of some features holds out of plums that came with all that a champion sees."""
    table = pd.DataFrame(ROWS).assign(size=[i % 10 for i in range(20)], ripe=[i % 10 > 4 for i in range(20)])
    Lake(tree / LAKE).append(table, SCHEMA)
    (tree / "params.yaml").write_text(PLUMS.format(features=features))
    for rows in [] if extra is None else [extra]:
        Lake(tree / LAKE).append(rows, Project.at(tree).schema)
    for stage in ("prepare", "split"):
        STAGES[stage](tree)
    return pd.read_parquet(tree / "data" / "holdout.parquet")


@pytest.mark.parametrize("features", ["{size: number}", "{size: category}", "{colour: category, size: text}"])
def test_a_champion_is_asked_with_all_that_it_sees_as_it_saw_it(tmp_path: Path, features: str) -> None:
    """Whatever columns a training leaves out, or calls something else."""
    rows = held_out(tmp_path, features)
    assert 3 < len(rows) < 17
    champion = tiny_bundle(tmp_path / "champion")
    columns, dropped, incomplete = champion_view(champion, rows, np.ones(len(rows), bool), tmp_path)
    wanted = parse_rows([ROWS[int(plum)] for plum in rows["plum"]], SCHEMA)
    assert (dropped, incomplete) == ((), 0)
    assert {name: column.tolist() for name, column in columns.items()} == {
        name: column.tolist() for name, column in wanted.items()
    }


def test_where_the_lake_no_longer_has_what_a_champion_sees_the_gate_says_so(tmp_path: Path) -> None:
    late = pd.DataFrame({"plum": [f"late {i}" for i in range(20)], "size": 1.0, "ripe": True})
    rows = held_out(tmp_path, "{size: number}", late)
    gone = rows["plum"].str.startswith("late")
    champion = tiny_bundle(tmp_path / "champion")
    columns, dropped, incomplete = champion_view(champion, rows, np.ones(len(rows), bool), tmp_path)
    assert (dropped, incomplete) == (("colour",), gone.sum())
    assert ((columns["colour"] == "") == gone).all()
