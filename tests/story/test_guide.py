"""The guides' commands do what they say: in a copy of the project, and in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.config.project_folder import load_params
from mlops.files.ports import free_port
from mlops.ledger.records import DataVersioned, DriftConfirmed, ModelRegistered, RetrainFinished
from mlops.project.health import health
from tests.flows.orchard import PORTS, Orchard
from tests.patience import until

pytestmark = pytest.mark.story

ROOT = Path(__file__).parents[2]


def blocks(page: str) -> list[str]:
    """The commands of a page that a person types, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Orchard]:
    """A copy of the project as it is on disk, with the environment that runs this test."""
    root = tmp_path / "flights"
    for name in git(ROOT, "ls-files", "-z", "-co", "--exclude-standard").split("\0"):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    (root / ".env").write_text("".join(f"MLOPS_{port}={free_port()}\n" for port in PORTS))
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "The project")
    (root / ".venv").symlink_to(sys.prefix)
    orchard = Orchard(root)
    yield orchard
    orchard.mlops("down", "--serving")


def run(block: str, root: Path) -> str:
    """Run a block as one shell does."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_HOST": "unix:///nowhere",  # tests/story/test_container.py has an engine
    }
    environment.pop("PYTHONPATH", None)
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(600)
def test_the_guide_leads_where_it_says(clone: Orchard) -> None:
    *before, last = blocks("guide.md")
    assert last.startswith("mlops down")
    said, ledger = "", clone.project.ledger
    for block in before:
        said += run(block, clone.root)
        if "--as-of 2013-06-01" in block:  # a person looks at `mlops status` until it has ended
            drift = ledger.last(DriftConfirmed)
            assert drift is not None, said
            until("retraining's end", lambda: ledger.last(RetrainFinished), patience=240)
            assert ledger.effects(drift)[-1].kind == "retrain.finished"
    status = clone.mlops("status").out
    assert "nothing deployed" not in status
    schedule = load_params(clone.root / "params.yaml").schedule
    assert schedule.of("monitor")
    assert schedule.of("ingest")
    assert (clone.root.parent / "flights.tar.gz").is_file()
    assert (clone.root.parent / "flights-data").is_dir()
    assert "evaluate" in said
    run(last, clone.root)
    assert [part.part for part in health(clone.project) if part.up] == []


@pytest.mark.timeout(600)
def test_your_own_data_takes_the_commands_of_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for port in PORTS:
        monkeypatch.setenv(f"MLOPS_{port}", str(free_port()))
    cells = Orchard(tmp_path / "cells")
    try:
        # One shell, as a person has: where it went to, the next block begins.
        said = run("\n".join(blocks("own-data.md")), tmp_path)
    finally:
        cells.mlops("down", "--serving")
    assert "almost determines" not in said
    assert "Promoted as the first model" in said
    assert "60 good" in said
    assert "Identical: the same bundle" in said
    versions = cells.project.ledger.entries(DataVersioned)
    assert [entry.record.rows for entry in versions] == [450, 60]
    assert [entry.record.version for entry in cells.project.ledger.entries(ModelRegistered)] == [
        "1",
        "2",
        "3",
    ]
    assert len((cells.root / "predictions.jsonl").read_text().splitlines()) == 59
    assert [part.part for part in health(cells.project) if part.up] == []
