"""A loop saved while it ran goes on in another folder, as it was."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mlops.files.ports import free_port
from mlops.ledger.records import GateJudged
from mlops.prediction_log import reader
from tests.flows.orchard import HISTORY, PORTS, Orchard, plums, stamped

pytestmark = pytest.mark.story


def clone(of: Path, folder: Path) -> Orchard:
    """Clone a project's repository, and give the clone ports of its own."""
    subprocess.run(["git", "clone", "-q", str(of), str(folder)], check=True)
    (folder / ".env").write_text("".join(f"MLOPS_{port}={free_port()}\n" for port in PORTS))
    return Orchard(folder)


def said(orchard: Orchard, *words: str) -> str:
    told = orchard.mlops(*words)
    assert told.code == 0, told.err + told.out
    return told.out


@pytest.fixture
def orchards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orchard, Orchard]]:
    """A project that runs, and a fresh clone of it."""
    folder = tmp_path_factory.mktemp("restore")
    first = Orchard(stamped(folder / "plums"))
    second = clone(first.root, folder / "elsewhere" / "plums")
    try:
        said(first, "up")
        yield first, second
    finally:
        downs = [orchard.mlops("down", "--serving") for orchard in (first, second)]
    assert [down.code for down in downs] == [0, 0], [down.err for down in downs]


def test_a_loop_goes_on_where_it_was_restored(orchards: tuple[Orchard, Orchard], tmp_path: Path) -> None:
    first, second = orchards
    history = tmp_path / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(history)
    for words in (("ingest", str(history)), ("train",), ("deploy",)):
        said(first, *words)
    as_of = first.season(new=False)
    judged = said(first, "monitor", "--as-of", as_of.isoformat())
    before = first.project.ledger.entries()
    served = httpx.get(f"{first.project.folder.address}/version", trust_env=False).json()
    rows = reader.read(first.project.folder.predictions, first.project.schema)

    file = tmp_path / "saved.tar.gz"
    said(first, "backup", "--with-data", str(file))
    said(first, "down", "--serving")
    # What a lost machine takes with it.
    first.root.joinpath(".mlops").rename(tmp_path / "lost")
    shutil.rmtree(first.root / ".dvc" / "cache")
    subprocess.run(["git", "pull", "-q"], cwd=second.root, check=True)

    said(second, "restore", str(file))
    assert second.project.ledger.entries() == before
    assert reader.read(second.project.folder.predictions, second.project.schema).equals(rows)
    said(second, "up")
    said(second, "deploy")
    answers = httpx.get(f"{second.project.folder.address}/version", trust_env=False).json()
    assert (answers["version"], answers["digest"]) == (served["version"], served["digest"])
    version = second.project.registry.find(str(served["version"]))
    assert version is not None
    assert version.digest == served["digest"]
    assert str(served["version"]) in said(second, "status")
    assert said(second, "monitor", "--as-of", as_of.isoformat()) == judged
    # And it is no museum: the next season is learnt from.
    later = Orchard(second.root)
    later._day, later._season = first._day, 0
    told = second.mlops("retrain", "--as-of", later.season().isoformat())
    assert told.code in {0, 3}, told.err
    judgements = [entry for entry in before if entry.kind == "gate.judged"]
    assert second.project.ledger.last(GateJudged) != judgements[-1]
