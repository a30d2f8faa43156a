"""DVC's experiments and its history, as a person uses them in a project of ours."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.project_folder import load_params
from mlops.orchestration.tasks import train
from mlops.project.init import begin
from mlops.scaffold.profile_options import ProfileOptions
from tests.flows.orchard import HISTORY, plums
from tests.person import IN_GIT, dvc, files, git, ingested, learned, told

pytestmark = pytest.mark.story


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return learned(tmp_path / "plums")


def strength(root: Path) -> float:
    return float(load_params(root / "params.yaml").model.params["strength"])


def loss(root: Path) -> float:
    return float(json.loads((root / "build/metrics.json").read_text())["holdout"]["log_loss"])


def test_a_project_made_by_init_takes_experiments(tmp_path: Path) -> None:
    begin(tmp_path / "plums", str(table(tmp_path)), ProfileOptions("ripe", "picked", "plum"))
    root = tmp_path / "plums"
    dvc(root, "exp", "run", "--name", "short", "--set-param", "model.params.C=0.3")
    assert (told(root, "status"), load_params(root / "params.yaml").model.params["C"]) == ({}, 0.3)
    shown = dvc(root, "exp", "show", "--drop", "build/|data/", "--csv").splitlines()
    assert {"model.params.C", "holdout.log_loss"} <= set(shown[0].split(","))
    assert "short" in {line.split(",")[0] for line in shown}
    assert loss(root) < 0.69  # better than a coin


def table(folder: Path) -> Path:
    file = folder / "plums.csv"
    plums(0, HISTORY, season=0).to_csv(file, index=False)
    return file


def test_experiments_are_run_compared_and_taken_over(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = loss(root)
    dvc(root, "exp", "run", "--name", "weak", "--set-param", "model.params.strength=0.01")
    assert (strength(root), loss(root) > plain) == (0.01, True)
    assert told(root, "status") == {}
    changes = told(root, "metrics", "diff")["build/metrics.json"]
    assert {name.split(".")[0] for name in changes} == {"holdout"}
    assert changes["holdout.log_loss"]["new"] == loss(root)

    git(root, "restore", ".")
    dvc(root, "checkout")
    dvc(root, "exp", "run", "--temp", "--name", "strong", "--set-param", "model.params.strength=9")
    assert (strength(root), git(root, "status", "--porcelain")) == (1.0, "")
    table = dvc(root, "exp", "show", "--only-changed", "--drop", "build/|data/", "--csv").splitlines()
    columns = table[0].split(",")
    assert {"holdout.log_loss", "model.params.strength"} <= set(columns)
    assert len(columns) < 12, columns
    assert {"weak", "strong"} <= {line.split(",")[0] for line in table}

    dvc(root, "exp", "apply", "strong")
    assert (strength(root), told(root, "status")) == (9.0, {})
    # What was tried is taken over without being done again, and the commit can do it again.
    with caplog.at_level(logging.INFO):
        commit = train.reproduce(root, root)
    assert Tree(root).read("dvc.lock", commit) == (root / "dvc.lock").read_text()
    assert "strength: 9" in str(Tree(root).read("params.yaml", commit))
    assert git(root, "status", "--porcelain") == ""
    assert "the data exists only on this machine" in caplog.text

    dvc(root, "exp", "branch", "weak", "try-weak")
    git(root, "switch", "-q", "try-weak")
    dvc(root, "checkout")
    assert (strength(root), told(root, "status")) == (0.01, {})


def test_a_plain_experiment_takes_the_edit_in_the_workspace(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("strength: 1.0", "strength: 0.5"))
    dvc(root, "exp", "run")
    assert strength(root) == 0.5
    assert told(root, "params", "diff")["params.yaml"]["model.params.strength"]["old"] == 1.0
    assert told(root, "status") == {}


def test_what_is_lost_here_comes_back_and_so_does_the_past(root: Path, tmp_path: Path) -> None:
    dvc(root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    git(root, "commit", "-q", "-m", "Name the store", ".dvc/config")
    older, lake = git(root, "rev-parse", "HEAD"), files(root)
    dvc(root, "push")
    ingested(root, HISTORY, 5)
    dvc(root, "repro")
    Tree(root).commit_paths(IN_GIT, "Train on more")
    newer = files(root)
    assert set(lake) < set(newer)
    # Of plots and metrics this tells as well, so a person who committed sees nothing.
    assert told(root, "data", "status", "--granular") == {}
    assert {entry["path"] for entry in told(root, "diff", older)["modified"]} >= {"data/lake/"}
    dvc(root, "push")

    shutil.rmtree(root / ".dvc" / "cache")
    for folder in (root / "data" / "lake", root / "build" / "bundle"):
        shutil.rmtree(folder)
    dvc(root, "pull")
    assert (files(root), told(root, "status")) == (newer, {})
    assert DvcTree(root).verify().md5

    git(root, "switch", "-q", "--detach", older)
    dvc(root, "pull")
    dvc(root, "checkout")
    assert (files(root), told(root, "status")) == (lake, {})
    assert "Running" not in dvc(root, "repro")
