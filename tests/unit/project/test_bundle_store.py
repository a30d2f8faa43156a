"""The store of bundles: what it has, what it lacks, and what was damaged in it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import BundleError, UnavailableError
from mlops.model import bundle as bundles
from mlops.model.bundle import Bundle
from mlops.project import bundle_store


@pytest.fixture
def trained(tmp_path: Path) -> Bundle:
    return bundles.write(tmp_path / "trained", {"module.py": b"ours = 1\n", "model.skops": b"fitted"})


@pytest.fixture
def store(tmp_path: Path, trained: Bundle) -> Path:
    bundle_store.keep(tmp_path / "store", trained.folder)
    return tmp_path / "store"


def nothing(_: Path) -> None:
    pytest.fail("fetched")


def alter(folder: Path) -> None:
    with (folder / "model.skops").open("ab") as file:
        file.write(b"more")


def lose(folder: Path) -> None:
    (folder / "model.skops").unlink()


def add(folder: Path) -> None:
    (folder / "extra.py").write_text("theirs = 1\n")


def empty(folder: Path) -> None:
    (folder / bundles.MANIFEST).write_bytes(b"")


def exchange(folder: Path) -> None:
    bundles.write(folder, {"module.py": b"theirs = 1\n"})


def relabel(folder: Path) -> None:
    manifest = json.loads((folder / bundles.MANIFEST).read_bytes())
    (folder / bundles.MANIFEST).write_text(json.dumps({**manifest, "format": 99}))


DAMAGE = [alter, lose, add, empty, exchange, relabel]


def test_a_whole_bundle_is_not_fetched(store: Path, trained: Bundle) -> None:
    assert bundle_store.obtain(store, trained.digest, nothing).digest == trained.digest


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_fetched_again(
    damage: Callable[[Path], None], store: Path, trained: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    damage(store / trained.digest)
    with caplog.at_level(logging.WARNING, "mlops"):
        found = bundle_store.obtain(store, trained.digest, lambda to: shutil.copytree(trained.folder, to))
    assert bundles.open(found.folder, digest=trained.digest) == found
    assert [path.name for path in store.iterdir()] == [trained.digest]
    assert "It is fetched again." in caplog.text


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_never_taken_for_the_fetched_one(
    damage: Callable[[Path], None], store: Path, trained: Bundle
) -> None:
    def fetch_damaged(folder: Path) -> None:
        shutil.copytree(trained.folder, folder)
        damage(folder)

    damage(store / trained.digest)
    with pytest.raises(bundle_store.DAMAGE):
        bundle_store.obtain(store, trained.digest, fetch_damaged)
    with pytest.raises(bundle_store.DAMAGE):
        bundles.open(store / trained.digest, digest=trained.digest)


def test_a_registry_that_is_away_leaves_the_damaged_bundle_to_be_looked_at(
    store: Path, trained: Bundle
) -> None:
    def away(_: Path) -> None:
        raise UnavailableError("MLflow", "http://127.0.0.1:5000", remedy="Start it.")

    alter(store / trained.digest)
    with pytest.raises(UnavailableError):
        bundle_store.obtain(store, trained.digest, away)
    assert (store / trained.digest / "model.skops").read_bytes() == b"fittedmore"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_training_mends_the_damaged_copy_of_what_it_trained(
    damage: Callable[[Path], None], store: Path, trained: Bundle
) -> None:
    damage(store / trained.digest)
    assert bundle_store.keep(store, trained.folder).digest == trained.digest


def test_a_bundle_that_another_process_mended_meanwhile_stays(store: Path, trained: Bundle) -> None:
    kept = store / trained.digest
    alter(kept)

    def fetch(folder: Path) -> None:
        shutil.copytree(trained.folder, folder)
        shutil.rmtree(kept)
        shutil.copytree(trained.folder, kept)
        (kept / "model.skops").touch()

    bundle_store.obtain(store, trained.digest, fetch)
    assert [path.name for path in store.iterdir()] == [trained.digest]


def test_what_was_trained_damaged_is_not_kept(tmp_path: Path, trained: Bundle) -> None:
    alter(trained.folder)
    with pytest.raises(BundleError):
        bundle_store.keep(tmp_path / "other", trained.folder)
