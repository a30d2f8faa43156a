"""Data that rots while DVC takes it for whole: named, and brought from a remote, or refused."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.config.paths import LAKE
from mlops.errors import DataError, MlopsError, UnavailableError

NAME = "2013-01/000001-aa.csv"
ROWS = b"1\n2\n"


@pytest.fixture
def tree(tmp_path: Path) -> DvcTree:
    """A project with one version of two files."""
    root = tmp_path / "project"
    (root / LAKE / "2013-01").mkdir(parents=True)
    (root / LAKE / NAME).write_bytes(ROWS)
    (root / LAKE / "2013-01/000002-bb.csv").write_text("3\n")
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    tree = DvcTree.init(root)
    tree.add()
    return tree


@pytest.fixture
def store(tree: DvcTree, tmp_path: Path) -> Path:
    """A folder that is the project's remote and holds the version."""
    folder = tmp_path / "store"
    (tree.root / ".dvc/config.local").write_text(
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = {folder}\n"
    )
    shutil.copytree(tree.cache() / "files", folder / "files")  # a remote lies as a cache does
    return folder


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    return tmp_path / "aside"


def object_of(cache: Path, content: bytes = ROWS) -> Path:
    [file] = (file for file in cache.rglob("*") if file.is_file() and file.read_bytes() == content)
    return file


def rot(file: Path) -> None:
    """Flip a bit; mode and times stay, so that DVC has nothing to see."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def rotten(tree: DvcTree) -> Path:
    """The cached object, altered in the cache and in the workspace alike."""
    stored = object_of(tree.cache())
    assert stored.stat().st_mode & 0o777 == 0o444
    rot(stored)
    rot(tree.root / LAKE / NAME)
    assert tree.status() == {}  # DVC sees nothing wrong
    return stored


def test_what_rotted_in_cache_and_workspace_comes_from_the_remote(
    store: Path, tree: DvcTree, rotten: Path, aside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mlops"):
        version = tree.restore(aside=aside)
    assert (tree.root / LAKE / NAME).read_bytes() == rotten.read_bytes() == ROWS
    assert version == tree.verify()
    assert f"{LAKE}/{NAME}" in caplog.text
    assert "'store'" in caplog.text
    [kept] = aside.iterdir()
    assert kept.read_bytes() == b"0\n2\n"  # somebody may have meant it
    caplog.clear()
    tree.restore(aside=aside)
    assert caplog.text == ""


def test_without_a_remote_the_file_is_named_and_nothing_is_touched(
    tree: DvcTree, rotten: Path, aside: Path
) -> None:
    with pytest.raises(DataError, match=rf"{LAKE}/{NAME} \(altered.*no DVC remote"):
        tree.restore(aside=aside)
    assert rotten.read_bytes() == (tree.root / LAKE / NAME).read_bytes() == b"0\n2\n"


def test_a_remote_whose_own_object_rotted_is_not_believed(
    store: Path, tree: DvcTree, rotten: Path, aside: Path
) -> None:
    rot(object_of(store))
    with pytest.raises(DataError, match=rf"{NAME} \(altered.*'store' has no intact copy: altered"):
        tree.restore(aside=aside)
    assert not rotten.exists()  # what is missing is not served for whole


def test_a_remote_that_lacks_it_is_told(store: Path, tree: DvcTree, rotten: Path, aside: Path) -> None:
    object_of(store).unlink()
    with pytest.raises(DataError, match=rf"{NAME} .*no intact copy: not there"):
        tree.restore(aside=aside)


@pytest.mark.parametrize("harm", [rot, Path.unlink], ids=["altered", "missing"])
def test_a_file_on_disk_is_put_back_from_a_cache_that_is_whole(tree, aside, harm) -> None:
    harm(tree.root / LAKE / NAME)
    tree.restore(aside=aside)
    assert tree.verify().files == 2
    assert (tree.root / LAKE / NAME).read_bytes() == ROWS


def test_a_cache_is_mended_from_a_file_on_disk_that_is_whole(
    tree: DvcTree, caplog: pytest.LogCaptureFixture
) -> None:
    [md5] = (md5 for name, md5 in tree.store().files(tree.verify().md5, LAKE).items() if name == NAME)
    stored = object_of(tree.cache())
    for harm in (rot, Path.unlink):
        harm(stored)
        tree.store().ensure({md5: f"{LAKE}/{NAME}"})
        assert stored.read_bytes() == ROWS
        assert stored.stat().st_mode & 0o777 == 0o444
        assert "from the files on disk" in caplog.text
        caplog.clear()
    rot(stored)
    rot(tree.root / LAKE / NAME)
    with pytest.raises(DataError, match="no DVC remote"):
        tree.store().ensure({md5: f"{LAKE}/{NAME}"})


def test_the_list_of_a_version_that_rotted_comes_from_the_remote(
    store: Path, tree: DvcTree, aside: Path
) -> None:
    [listed] = tree.cache().rglob("*.dir")
    rot(listed)
    with pytest.raises(DataError):
        tree.verify()
    tree.restore(aside=aside)
    assert tree.verify().files == 2


def test_a_checkout_brings_what_the_cache_lacks(store: Path, tree: DvcTree) -> None:
    shutil.rmtree(tree.cache() / "files")
    shutil.rmtree(tree.root / LAKE)
    tree.checkout()
    assert tree.verify().files == 2


def test_a_union_brings_what_rotted_of_the_other_version(store: Path, tree: DvcTree) -> None:
    theirs = (tree.root / f"{LAKE}.dvc").read_text()
    shutil.rmtree(tree.root / LAKE)
    (tree.root / LAKE / "2013-02").mkdir(parents=True)
    (tree.root / LAKE / "2013-02/000003-cc.csv").write_text("4\n")
    tree.add()
    rot(object_of(tree.cache()))
    assert tree.union(theirs).files == 3
    assert (tree.root / LAKE / NAME).read_bytes() == ROWS


class TestRemote:
    def test_an_altered_object_is_not_sent_and_neither_is_its_folders_list(
        self, tree: DvcTree, tmp_path: Path
    ) -> None:
        (tree.root / ".dvc/config.local").write_text(f"['remote \"new\"']\n    url = {tmp_path / 'new'}\n")
        (tree.root / "data/other").mkdir()
        (tree.root / "data/other/four.csv").write_text("4\n")
        whole, version = tree.add("data/other"), tree.add()
        stored = object_of(tree.cache())
        rot(stored)
        md5s = [file.parent.name + file.name for file in (tree.cache() / "files/md5").glob("??/*")]
        done = Remote(tree.root, "new").push(md5s)
        altered = stored.parent.name + stored.name
        assert (done.wanted, done.moved) == (5, 3)
        assert done.failed[altered] == "altered"
        assert [md5 for md5 in done.failed if md5.endswith(".dir")] == [version.md5]
        assert sum(file.is_file() for file in (tmp_path / "new").rglob("*")) == 3
        assert whole.md5 not in done.failed

    def test_progress_is_told_and_what_is_there_is_not_sent_again(self, store: Path, tree: DvcTree) -> None:
        shutil.rmtree(store)
        md5s = [file.parent.name + file.name for file in (tree.cache() / "files/md5").glob("??/*")]
        seen: list[int] = []
        done = Remote(tree.root, "store").push(md5s, lambda transfer: seen.append(transfer.moved))
        assert (done.moved, done.there, seen[-1]) == (3, 0, 3)
        assert done.bytes > 0
        again = Remote(tree.root, "store").push(md5s)
        assert (again.moved, again.there) == (0, 3)

    def test_a_name_that_dvc_does_not_know_is_an_error_of_ours(self, tree: DvcTree) -> None:
        with pytest.raises(MlopsError, match="'elsewhere'"):
            Remote(tree.root, "elsewhere").ask()

    def test_a_remote_that_says_nothing_is_given_up(self, tree: DvcTree, silent: str) -> None:
        (tree.root / ".dvc/config.local").write_text(
            "['remote \"far\"']\n    url = s3://plums/data\n"
            f"    endpointurl = {silent}\n    access_key_id = a\n    secret_access_key = b\n"
        )
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"'far' does not respond .*no progress for 6 s"):
            Remote(tree.root, "far", silence=6).pull(["0" * 32])
        assert time.monotonic() - began < 20
