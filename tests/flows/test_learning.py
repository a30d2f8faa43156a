"""Training: what the flow `train` leaves in DVC, git, MLflow and the ledger."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from mlflow import MlflowClient

from mlops import fingerprint
from mlops.adapters.git import Tree
from mlops.ledger import Entry
from tests.flows.orchard import Orchard


@pytest.fixture(scope="module")
def promoted(trained: Orchard) -> Entry:
    return trained.loop.ledger.entries("model.promoted")[0]


@pytest.fixture(scope="module")
def run(trained: Orchard, promoted: Entry) -> Any:
    return MlflowClient(trained.loop.project.mlflow_uri).get_run(promoted.body["run_id"])


def test_the_first_model_is_promoted_because_of_a_judgement_of_a_registration(
    trained: Orchard, promoted: Entry
) -> None:
    ledger = trained.loop.ledger
    judged = ledger.get(promoted.cause or "")
    assert judged is not None
    assert judged.kind == "gate.judged"
    assert judged.body["reason"].startswith("Promoted as the first model")
    registered = ledger.get(judged.cause or "")
    assert registered is not None
    assert (registered.kind, registered.body["digest"]) == ("model.registered", promoted.body["digest"])


def test_the_run_carries_parameters_metrics_and_the_version_of_the_data(
    trained: Orchard, promoted: Entry, run: Any
) -> None:
    assert run.info.status == "FINISHED"
    assert run.data.params["train.window"] == "13d"
    assert run.data.params["model.seed"] == "7"
    assert 0 < run.data.metrics["holdout.log_loss"] < run.data.metrics["baseline.log_loss"]
    [data] = run.inputs.dataset_inputs
    assert promoted.body["data_md5"].startswith(data.dataset.digest)
    assert data.dataset.name


def test_the_run_names_the_commit_that_holds_its_lock(trained: Orchard, promoted: Entry, run: Any) -> None:
    tree = Tree(trained.root)
    tags = set(run.data.tags.values())
    assert promoted.body["commit"] in tags
    held = tree.read("dvc.lock", promoted.body["commit"])
    assert held is not None
    assert fingerprint.of_bytes(held.encode()) in tags
    assert held == (trained.root / "dvc.lock").read_text()


def test_the_champion_alias_names_the_promoted_digest(trained: Orchard) -> None:
    champion = trained.loop.registry.find("champion")
    assert champion is not None
    assert champion.digest == trained.loop.promoted().body["digest"]


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
        loop = trained.loop
        versions = MlflowClient(loop.project.mlflow_uri).search_model_versions()
        rows = [entry.id for entry in loop.ledger.entries()]
        return Tree(trained.root).head(), rows, [(v.version, v.run_id) for v in versions]

    # Against a champion that came since, a model is judged anew, once.
    trained.flow("train")
    before = state()
    trained.flow("train")
    assert state() == before


def test_the_same_file_again_adds_nothing(trained: Orchard) -> None:
    head = Tree(trained.root).head()
    outcome = trained.flow("ingest", file=trained.root / ".mlops" / "history.parquet")
    assert outcome.text.startswith("0 rows added")
    assert Tree(trained.root).head() == head
