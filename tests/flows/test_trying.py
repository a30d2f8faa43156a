"""One training with parameters of its own, through the flow `train` and the verb."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.utils.serialize import loads_yaml
from mlflow import MlflowClient

from mlops.adapters.git.worktree import Tree
from mlops.errors import ConfigError, ConflictError
from mlops.ledger.entry import Entry
from mlops.ledger.records import GateJudged, ModelRegistered
from mlops.orchestration.tasks.experiment import Attempt
from mlops.project import reproduce
from tests.flows.conftest import persons_tree
from tests.flows.orchard import Orchard, Told
from tests.patience import until

STRONGER = {"model.params.strength": "4.0"}


@pytest.fixture(scope="module")
def person(trained: Orchard) -> Iterator[str]:
    """The person is in the middle of an edit of params.yaml, and has something staged."""
    trained.flow("train")  # what other tests left is trained on
    note, params = trained.root / "note.txt", trained.root / "params.yaml"
    text = params.read_text()
    note.write_text("staged\n")
    params.write_text(text.replace("seed: 7", "seed: 8"))
    subprocess.run(["git", "add", "note.txt"], cwd=trained.root, check=True)
    yield persons_tree(trained.root)
    subprocess.run(["git", "reset", "-q", "--", "note.txt"], cwd=trained.root, check=True)
    note.unlink()
    params.write_text(text)


@pytest.fixture(scope="module")
def told(trained: Orchard, person: str) -> Told:
    """What the verb says, with parameters of its own."""
    return trained.mlops("train", *(w for k, v in STRONGER.items() for w in ("--set", f"{k}={v}")), "--json")


@pytest.fixture(scope="module")
def registered(trained: Orchard, told: Told) -> Entry:
    """What that training left in the ledger."""
    entry = trained.project.ledger.last(ModelRegistered)
    assert entry is not None
    return entry


def branches(orchard: Orchard) -> list[str]:
    words = ["git", "for-each-ref", "--format=%(refname:short)", "refs/heads/mlops/try"]
    done = subprocess.run(words, cwd=orchard.root, capture_output=True, text=True, check=True)
    return done.stdout.split()


def left(orchard: Orchard) -> list[str]:
    done = subprocess.run(
        ["git", "worktree", "list"], cwd=orchard.root, capture_output=True, text=True, check=True
    )
    return [line for line in done.stdout.splitlines() if "/.mlops/try/" in line]


def test_it_is_gated_and_the_person_notices_nothing(
    trained: Orchard, person: str, told: Told, registered: Entry
) -> None:
    assert told.code in (0, 3), told.err
    assert persons_tree(trained.root) == person
    assert left(trained) == []
    assert not list((trained.root / ".mlops" / "try").iterdir())
    judged = trained.project.ledger.effects(registered, GateJudged)
    assert len(judged) == 1
    assert told.code == (0 if judged[0].record.promote else 3)


def test_it_says_where_it_is_held_how_to_keep_it_and_what_was_left_out(
    trained: Orchard, told: Told, registered: Entry
) -> None:
    sentence = json.loads(told.out)["result"]
    [branch] = branches(trained)
    assert f"Trained with model.params.strength=4.0 on the branch {branch}" in sentence
    assert f"`git checkout {branch} -- params.yaml`" in sentence
    assert "Not committed, so left out: params.yaml." in sentence


def test_data_parameters_and_lock_of_its_commit_agree(trained: Orchard, registered: Entry) -> None:
    tree, commit = Tree(trained.root), registered.record.commit
    [branch] = branches(trained)
    assert tree.tip(branch) == commit
    params, lock = tree.read("params.yaml", commit), tree.read("dvc.lock", commit)
    assert params is not None
    assert lock is not None
    assert "strength: 4.0" in params
    assert "strength: 4.0" in lock
    assert "seed: 7" in params  # what the person has not committed is not in it
    lineage = trained.project.bundle_of(registered).lineage
    assert lineage["params"]["model"]["params"]["strength"] == 4.0
    assert lineage["params"]["model"]["seed"] == 7


def test_its_run_in_mlflow_shows_the_parameter_and_the_branch(trained: Orchard, registered: Entry) -> None:
    run = MlflowClient(trained.project.folder.mlflow_uri).get_run(registered.record.run_id)
    assert run.data.params["model.params.strength"] == "4.0"
    assert run.data.tags["mlflow.source.git.branch"] == branches(trained)[0]


def test_a_value_that_yaml_1_1_reads_otherwise_is_one_for_us_dvc_and_mlflow(
    trained: Orchard, registered: Entry
) -> None:
    values = {"rate": 0.06, "mode": "on", "code": 12}
    lock = Tree(trained.root).read("dvc.lock", registered.record.commit)
    recorded = loads_yaml(lock)["stages"]["train"]["params"]["params.yaml"]["model"]["params"]
    with Repo(str(trained.root)) as repo:
        shown = repo.params.show()[""]["data"]["params.yaml"]["data"]["model"]["params"]
    lineage = trained.project.bundle_of(registered).lineage["params"]["model"]["params"]
    run = MlflowClient(trained.project.folder.mlflow_uri).get_run(registered.record.run_id)
    for params in (trained.project.params.model.params, lineage, recorded, shown):
        assert {name: params[name] for name in values} == values
    assert {name: run.data.params[f"model.params.{name}"] for name in values} == {
        name: str(value) for name, value in values.items()
    }


def test_the_same_again_finds_the_run_that_exists(trained: Orchard, person: str, registered: Entry) -> None:
    before = trained.project.ledger.entries(ModelRegistered)
    again = trained.flow("train", overrides=STRONGER)
    assert "mlops/try/" in again.text
    assert trained.project.ledger.entries(ModelRegistered) == before
    assert Tree(trained.root).tip(branches(trained)[0]) == registered.record.commit


def test_a_value_it_has_already_changes_nothing(trained: Orchard, person: str, told: Told) -> None:
    before, held = trained.project.ledger.entries(ModelRegistered), branches(trained)
    strength = trained.project.params.model.params["strength"]
    same = trained.flow("train", overrides={"model.params.strength": str(strength)})
    said = f"Nothing changed: params.yaml already has model.params.strength={strength}."
    assert same.text.startswith(said)
    assert trained.project.ledger.entries(ModelRegistered) == before
    assert branches(trained) == held
    assert persons_tree(trained.root) == person


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        ({"train.windw": "3d"}, "train.windw"),
        ({"train.window": "3 days"}, "train.window"),
        ({"gate.confidence": "0.6"}, "gate.confidence"),
        ({"data.name": "pears"}, "data.name"),
    ],
)
def test_a_bad_path_or_value_is_refused_and_no_branch_is_left(
    trained: Orchard, person: str, told: Told, overrides: dict[str, str], path: str
) -> None:
    held = branches(trained)
    with pytest.raises(ConfigError) as refused:
        trained.flow("train", overrides=overrides)
    assert refused.value.path == path
    assert (branches(trained), left(trained)) == (held, [])
    assert persons_tree(trained.root) == person


@pytest.mark.parametrize("words", [["strength"], ["=3"], ["a=1", "--set", "a=2"]])
def test_words_that_are_no_key_and_value_are_told_before_anything_runs(
    trained: Orchard, words: list[str]
) -> None:
    refused = trained.mlops("train", "--set", *words)
    assert refused.code == 2
    assert "--set" in refused.err


def test_it_is_reproduced_like_any_other(trained: Orchard, person: str, registered: Entry) -> None:
    project = trained.project
    subject = reproduce.find(project, registered.record.version)
    assert reproduce.reproduce(project, subject, keep=False).result.outcome == "bytes"


def test_a_killed_one_is_finished_by_the_same_words_and_others_wait(
    trained: Orchard, person: str, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    # It searches, and is killed in its second trial: with this seed that is the one that is held.
    free = str(trained.root / "nobody-holds")
    search = {"trials": 2, "folds": 2, "space": {"hold": [free, str(trained.hold)]}}
    overrides: dict[str, Any] = {"model.search": json.dumps(search), "model.params.strength": "9"}
    program = "import sys; from mlops.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, "-C", str(trained.root), "train"]
    words += [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    held = branches(trained)
    pid = trained.hold.with_suffix(".pid")
    pid.unlink(missing_ok=True)
    trained.hold.touch()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("training at work", pid.exists)
        with pytest.raises(ConflictError, match="Another training"):
            trained.flow("train", overrides=overrides)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        trained.hold.unlink()
    assert len(left(trained)) == 1
    [journal] = trained.project.folder.searches.iterdir()
    assert len(journal.read_text().splitlines()) == 1
    with caplog.at_level(logging.INFO, "mlops"):
        trained.flow("train", overrides=overrides)
    assert "1 of 2 trials finished before" in caplog.text
    assert not journal.exists()
    assert left(trained) == []
    assert len(set(branches(trained)) - set(held)) == 1
    assert persons_tree(trained.root) == person


def test_without_overrides_a_training_says_what_the_gate_says() -> None:
    assert Attempt(Path()).summary("Promoted.", "0" * 40) == "Promoted."
