"""A training that searches, from params.yaml to MLflow; its project shares the other's servers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from mlflow import MlflowClient

from mlops.ledger.records import ModelRegistered
from mlops.model import bundle
from mlops.model.trials import from_csv
from tests.flows.orchard import HISTORY, Orchard, Told, plums, stamped

SEARCH = """\
  search:
    trials: 4
    folds: 2
    space:
      strength: {low: 0.001, high: 10, log: true}
  seed: 7
"""


@pytest.fixture(scope="module")
def orchard(running: Orchard, tmp_path_factory: pytest.TempPathFactory) -> Orchard:
    project = running.project.folder
    elsewhere = f"PREFECT_API_URL={project.prefect_uri}\nMLFLOW_TRACKING_URI={project.mlflow_uri}\n"
    root = stamped(tmp_path_factory.mktemp("tuning") / "tuned", name="tuned", extra=elsewhere)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("  seed: 7\n", SEARCH))
    return Orchard(root)


@pytest.fixture(scope="module")
def told(orchard: Orchard) -> Told:
    file = orchard.root.parent / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(file)
    assert orchard.mlops("ingest", str(file)).code == 0
    return orchard.mlops("train")


def test_a_training_tells_of_each_trial_and_fits_the_best(orchard: Orchard, told: Told) -> None:
    assert told.code == 0, told.err
    for number in range(1, 5):
        assert f"trial {number}/4: log_loss" in told.err
    registered = orchard.project.ledger.entries(ModelRegistered)[-1]
    searched = orchard.project.bundle_of(registered).lineage["search"]
    client = MlflowClient(orchard.project.folder.mlflow_uri)
    run = client.get_run(registered.record.run_id)
    assert run.data.params["model.params.strength"] == str(searched["params"]["strength"])
    assert run.data.metrics["search/log_loss"] == pytest.approx(searched["loss"])
    trials = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    leaders = [one for one in trials if "mlops.trial.best" in one.data.tags]
    assert len(trials) == 4
    assert [one.info.run_name for one in leaders] == [f"trial {searched['trial']}"]
    assert leaders[0].data.params == {"model.params.strength": str(searched["params"]["strength"])}


def test_dvc_has_nothing_to_do_after_it_and_makes_the_same_by_itself(orchard: Orchard, told: Told) -> None:
    def dvc(*words: str) -> str:
        command = [sys.executable, "-m", "dvc", *words]
        path = {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": str(orchard.root.parent)}
        done = subprocess.run(command, cwd=orchard.root, env=path, capture_output=True, text=True, check=True)
        return done.stdout

    lock, made = orchard.root / "dvc.lock", bundle.open(orchard.root / "build/bundle")
    before = lock.read_bytes()
    assert "up to date" in dvc("status")
    dvc("repro", "--force", "--single-item", "train")
    assert lock.read_bytes() == before
    assert bundle.open(orchard.root / "build/bundle").digest == made.digest
    assert len(from_csv((orchard.root / "build/trials.csv").read_bytes())) == 4
    assert orchard.mlops("train").out.startswith("Nothing changed")
