"""What a person who knows DVC expects of its own commands, in a project as our flows leave it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.loop_branch import loop_tree
from mlops.config.paths import LOOP_BRANCH
from tests.person import dvc, files, git, learned, told


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learned(tmp_path_factory.mktemp("dvc") / "plums")


@pytest.fixture(scope="module")
def remote(root: Path) -> Path:
    """A folder beside the project, named from within it as people do."""
    folder = root.parent / "store"
    dvc(root, "remote", "add", "--default", "store", "../store")
    git(root, "commit", "-q", "-m", "Name the store", ".dvc/config")
    return folder


def drawn(page: str) -> dict[str, int]:
    """How many points each plot of a page shows, by its title; what has none is left out by DVC."""
    specs = [json.loads(found) for found in re.findall(r"var spec = (\{.*\});", page)]
    return {spec["title"]["text"]: len(spec["data"]["values"]) for spec in specs if spec}


def test_after_a_training_nothing_is_left_to_do(root: Path) -> None:
    assert "Running" not in dvc(root, "repro")
    assert git(root, "status", "--porcelain") == ""


def test_the_graph_names_every_step(root: Path) -> None:
    graph = dvc(root, "dag")
    assert all(name in graph for name in ("data/lake.dvc", "prepare", "split", "train", "evaluate"))


def test_the_metrics_are_those_of_the_training(root: Path) -> None:
    (shown,) = told(root, "metrics", "show")[""]["data"].values()
    assert shown["data"] == json.loads((root / "build/metrics.json").read_text())


def test_the_plots_have_points(root: Path, tmp_path: Path) -> None:
    dvc(root, "plots", "show", "--out", str(tmp_path / "plots"))
    points = drawn((tmp_path / "plots" / "index.html").read_text())
    assert {"ROC out of fold", "Labels out of fold", "Loss added by shuffling a feature"} <= set(points)
    assert any("observed" in title for title in points)
    assert all(points.values()), points


def test_an_edit_is_told_by_its_key_and_undone(root: Path) -> None:
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("strength: 1.0", "strength: 2.0"))
    try:
        assert told(root, "params", "diff") == {
            "params.yaml": {"model.params.strength": {"old": 1.0, "new": 2.0, "diff": 1.0}}
        }
    finally:
        (root / "params.yaml").write_text(params)


def test_a_fresh_clone_has_all_of_it_after_a_pull(root: Path, remote: Path, tmp_path: Path) -> None:
    Remote(root, "store").push(DvcTree(root).content())
    git(tmp_path, "clone", "-q", str(root), "clone")
    clone = tmp_path / "clone"
    # The store is beside the clone, too.
    shutil.copytree(remote, tmp_path / "store")
    dvc(clone, "pull")
    assert files(clone) == files(root)
    assert told(clone, "status") == {}
    assert "Running" not in dvc(clone, "repro")
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize(("chosen", "ours"), [("true", False), (None, True)])
def test_what_dvc_may_report_home_is_left_to_who_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str | None, ours: bool
) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "home"))
    if chosen:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "config").write_text(f"[core]\n    analytics = {chosen}\n")
    git(tmp_path, "init", "-q", "project")
    DvcTree.init(tmp_path / "project")
    config = (tmp_path / "project/.dvc/config").read_text()
    assert ("analytics = False" in config) is ours
    assert "autostage = False" in config


class TestPush:
    def test_without_a_remote_there_is_none(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q", "lone")
        assert DvcTree.init(tmp_path / "lone").remote() is None

    def test_the_loop_pushes_to_the_persons_remote(self, root: Path, remote: Path) -> None:
        shutil.rmtree(remote, ignore_errors=True)
        tree = loop_tree(root, root / ".mlops" / "worktree", LOOP_BRANCH)
        project = DvcTree(tree.root)
        project.share_cache(DvcTree(root))
        assert project.remote() == "store"
        Remote(project.root, "store").push(project.content("data/lake"))
        stored = [file for file in remote.rglob("*") if file.is_file()]
        assert len(stored) == len(files(root)) + 1  # and the list of them
        assert tree.is_clean()

    def test_a_remote_that_the_person_dropped_is_none_of_the_loops(self, root: Path, remote: Path) -> None:
        config = root / ".dvc/config.local"
        project = DvcTree(loop_tree(root, root / ".mlops" / "worktree", LOOP_BRANCH).root)
        config.write_text("[core]\n    remote = mine\n['remote \"mine\"']\n    url = ../../mine\n")
        project.share_cache(DvcTree(root))
        assert project.remote() == "mine"
        config.unlink()
        project.share_cache(DvcTree(root))
        assert project.remote() == "store"

    def test_a_login_that_is_copied_to_the_loops_tree_is_for_its_owner_alone(self, root: Path) -> None:
        config = root / ".dvc/config.local"
        config.write_text(
            "[core]\n    remote = mine\n['remote \"mine\"']\n    url = s3://plums\n"
            "    secret_access_key = s3cret\n"
        )
        project = DvcTree(loop_tree(root, root / ".mlops" / "worktree", LOOP_BRANCH).root)
        copy = project.root / ".dvc" / "config.local"
        copy.touch()
        copy.chmod(0o644)  # as one of before
        before = os.umask(0)
        try:
            project.share_cache(DvcTree(root))
        finally:
            os.umask(before)
            config.unlink()
        assert "s3cret" in copy.read_text()
        assert copy.stat().st_mode & 0o777 == 0o600
