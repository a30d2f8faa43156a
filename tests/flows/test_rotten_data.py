"""Training on a version: what rotted is mended or refused, and what was gone back to is recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.data.versions import read_pointer
from mlops.errors import DataError
from mlops.orchestration.tasks import train
from mlops.project import data_checkout, data_log
from mlops.project.context import Project
from tests.flows.orchard import Orchard, plums


@pytest.fixture
def copied(trained: Orchard, tmp_path: Path) -> Iterator[Path]:
    """The trained project once more, for DVC and git to work in; its Prefect is the first one's."""
    trained.flow("train")  # what other tests left is trained on
    root = tmp_path / "plums"
    shutil.copytree(trained.root, root, symlinks=True, ignore=shutil.ignore_patterns(".mlops"))
    with temporary_settings({PREFECT_API_URL: trained.project.folder.prefect_uri}):
        yield root


def reproduce(root: Path) -> str:
    commit: str = flow(lambda: train.reproduce(root, root), name="train")()
    return commit


def rotten(root: Path) -> Path:
    """Flip a bit of a file of the lake, on disk and in the cache, where DVC does not see it."""
    tree = DvcTree(root)
    assert tree.status() == {}  # so that DVC has hashed them, and will not again
    version = tree.version()
    assert version is not None
    store = tree.store()
    [(name, md5), *_] = store.files(version.md5, LAKE).items()
    for file in (root / LAKE / name, store.objects(md5)):
        before = file.stat()
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.chmod(0o644)
        file.write_bytes(content)
        file.chmod(before.st_mode)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tree.status() == {}
    return root / LAKE / name


def test_training_refuses_rotten_data_by_its_name(copied: Path) -> None:
    file = rotten(copied)
    with pytest.raises(DataError, match=file.name):
        reproduce(copied)
    with pytest.raises(DataError, match=file.name):
        DvcTree(copied).verify()  # and left it as it was


def test_training_mends_rotten_data_from_the_remote(
    copied: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = copied / ".dvc" / "config.local"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n")
    shutil.copytree(copied / ".dvc" / "cache" / "files", tmp_path / "store" / "files")
    head, file = Tree(copied).head(), rotten(copied)
    assert reproduce(copied) == head  # the same data again: nothing to do
    DvcTree(copied).verify()
    assert file.name in caplog.text
    [kept] = (copied / ".mlops" / "aside" / "data").iterdir()
    assert kept.name.endswith(file.name)


def test_training_on_a_version_that_was_gone_back_to_commits_its_pointer(copied: Path) -> None:
    project = Project.at(copied)
    first = data_log.choose(project, "HEAD")
    added = Lake(copied / LAKE).append(plums(200, 5, season=0), project.schema)
    DvcTree(copied).add(new=added.files)
    Tree(copied).commit_paths([f"{LAKE}.dvc"], "Add more")
    data_checkout.checkout(project, first)
    commit = reproduce(copied)
    assert commit == Tree(copied).head()
    pointer = Tree(copied).read(f"{LAKE}.dvc", commit)
    assert pointer is not None
    assert read_pointer(pointer).md5 == first.version.md5
    assert first.version.md5 in (Tree(copied).read("dvc.lock", commit) or "")
    assert Tree(copied).is_clean([f"{LAKE}.dvc"])
