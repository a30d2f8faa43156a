"""Pushing: where remotes are configured what the loop makes goes there, and nothing waits for it."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.loop_branch import loop_tree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, LOOP_BRANCH, RAW
from mlops.orchestration.tasks import push
from tests.flows.orchard import Orchard


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def remotes(trained: Orchard, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder for DVC and a bare repository for git, known to the person's project alone."""
    store, origin = tmp_path / "store", tmp_path / "origin.git"
    config = trained.root / ".dvc" / "config.local"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n")
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(trained.root, "remote", "add", "origin", str(origin))
    yield store, origin
    git(trained.root, "remote", "remove", "origin")
    config.unlink()


def loops(orchard: Orchard) -> Path:
    """Return the loop's work tree."""
    tree = loop_tree(orchard.root, orchard.root / ".mlops" / "worktree", LOOP_BRANCH).root
    DvcTree(tree).share_cache(DvcTree(orchard.root))
    return tree


def pushed(orchard: Orchard) -> Path:
    """Push what lies in the loop's work tree, within a flow; return the tree."""
    tree = loops(orchard)
    with temporary_settings({PREFECT_API_URL: orchard.project.folder.prefect_uri}):
        flow(lambda: push.push(orchard.root, tree), name="push")()
    return tree


def objects(store: Path) -> int:
    return sum(1 for file in store.rglob("*") if file.is_file())


def test_an_ingestion_pushes_the_data_and_leaves_the_persons_branch_to_them(
    trained: Orchard, remotes: tuple[Path, Path]
) -> None:
    store, origin = remotes
    trained.flow("ingest", file=trained.root / ".mlops" / "history.parquet")
    folders = [trained.root / LAKE, trained.root / RAW]
    held = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert objects(store) == len(folders) + len(held)  # and of each folder the list of its files
    assert git(origin, "for-each-ref") == ""


def test_what_the_loop_made_is_pushed_with_its_branch(trained: Orchard, remotes: tuple[Path, Path]) -> None:
    store, origin = remotes
    tree = pushed(trained)
    assert git(origin, "rev-parse", "mlops/loop") == Tree(tree).head()
    assert objects(store) > 0


def test_a_push_that_fails_is_told_with_its_remedy_and_hinders_nothing(
    trained: Orchard, remotes: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    store, origin = remotes
    shutil.rmtree(origin)
    store.write_text("no folder")
    with caplog.at_level(logging.WARNING, "mlops"):
        pushed(trained)
    assert "The DVC remote 'store' at" in caplog.text
    assert "`dvc remote list`" in caplog.text
    assert "`git push origin mlops/loop`" in caplog.text


def test_an_altered_object_is_not_pushed_and_named(
    trained: Orchard, remotes: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    store, _ = remotes
    tree = DvcTree(loops(trained))
    [md5] = [md5 for md5, name in tree.content().items() if name.endswith("holdout.parquet")]
    stored = tree.store().objects(md5)
    whole = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(b"rotten")
    stored.chmod(0o444)
    try:
        with caplog.at_level(logging.WARNING, "mlops"):
            pushed(trained)
    finally:
        stored.chmod(0o644)
        stored.write_bytes(whole)
        stored.chmod(0o444)
    assert "data/holdout.parquet (altered)" in caplog.text
    assert objects(store) == len(tree.content()) - 1


def test_without_remotes_it_is_said(trained: Orchard, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mlops"):
        pushed(trained)
    assert "only on this machine" in caplog.text
    assert "no remote for mlops/loop" in caplog.text
