"""Data brought back by the real DVC: from the cache, and what that lacks from a remote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.config.paths import LAKE
from mlops.errors import DataError

FILES = {"a.csv": "one\n", "b/c.csv": "two\n"}


@pytest.fixture
def data(tmp_path: Path) -> DvcTree:
    root = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    data = DvcTree.init(root)
    for name, text in FILES.items():
        (root / LAKE / name).parent.mkdir(parents=True, exist_ok=True)
        (root / LAKE / name).write_text(text)
    data.add()
    return data


@pytest.fixture
def stored(data: DvcTree, tmp_path: Path) -> DvcTree:
    """With all of it in a folder that is the default remote."""
    text = f"\n[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    config = data.root / ".dvc" / "config.local"
    config.write_text(text)
    Remote(data.root, "store").push(data.content())
    return data


def held(data: DvcTree) -> dict[str, str]:
    lake = data.root / LAKE
    return {file.relative_to(lake).as_posix(): file.read_text() for file in lake.rglob("*.csv")}


def object_of(data: DvcTree, text: str) -> Path:
    [found] = [file for file in data.cache().rglob("??/*") if file.is_file() and file.read_text() == text]
    return found


def alter(file: Path) -> None:
    """Alter an object behind DVC's back: it stays read-only, and DVC would take it for whole."""
    file.chmod(0o644)
    file.write_text("TWO\n", encoding="utf-8")
    file.chmod(0o444)


def test_what_the_cache_has_needs_no_remote(data: DvcTree) -> None:
    shutil.rmtree(data.root / LAKE)
    assert data.obtain() == [LAKE]
    assert held(data) == FILES


def test_a_deleted_object_comes_from_the_remote(stored: DvcTree) -> None:
    shutil.rmtree(stored.root / LAKE)
    object_of(stored, "two\n").unlink()
    stored.obtain()
    assert held(stored) == FILES


def test_an_empty_cache_is_filled_from_the_remote(stored: DvcTree) -> None:
    shutil.rmtree(stored.root / LAKE)
    shutil.rmtree(stored.cache())
    stored.obtain()
    assert held(stored) == FILES


def test_an_altered_object_is_replaced_by_the_remotes(stored: DvcTree) -> None:
    shutil.rmtree(stored.root / LAKE)
    altered = object_of(stored, "two\n")
    alter(altered)
    stored.obtain()
    assert held(stored) == FILES
    assert altered.read_text() == "two\n"


def test_an_altered_object_is_named_where_nothing_can_replace_it(data: DvcTree) -> None:
    shutil.rmtree(data.root / LAKE)
    altered = object_of(data, "two\n")
    alter(altered)
    with pytest.raises(DataError, match=r"data/lake/b/c\.csv \(altered: .* no DVC remote") as refused:
        data.obtain()
    assert str(altered) in refused.value.remedy
    assert altered.read_text() == "TWO\n"


def test_a_deleted_object_is_named_where_the_remote_lacks_it_too(stored: DvcTree, tmp_path: Path) -> None:
    shutil.rmtree(stored.root / LAKE)
    deleted = object_of(stored, "two\n")
    deleted.unlink()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(DataError, match=r"data/lake/b/c\.csv \(missing: ") as refused:
        stored.obtain()
    assert str(deleted) in refused.value.remedy


def test_an_altered_object_is_served_to_nobody_where_the_remote_lacks_it_too(
    stored: DvcTree, tmp_path: Path
) -> None:
    shutil.rmtree(stored.root / LAKE)
    altered = object_of(stored, "two\n")
    alter(altered)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(DataError, match=r"data/lake/b/c\.csv \(altered: "):
        stored.obtain()
    assert not altered.exists()
