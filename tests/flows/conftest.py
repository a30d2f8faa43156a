from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest

from mlops.config import find_project
from tests.flows.orchard import HISTORY, Orchard, Told, plums, stamped


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchard]:
    """A project whose Prefect, MLflow, runner and gateway run; nothing of it outlives the tests."""
    root = stamped(tmp_path_factory.mktemp("orchard") / "plums", extra="MLOPS_RECONCILE_EVERY=1\n")
    orchard = Orchard(root)
    try:
        up = orchard.mlops("up")
        assert up.code == 0, up.err
        yield orchard
    finally:
        orchard.hold.unlink(missing_ok=True)
        down = orchard.mlops("down", "--serving")
    assert down.code == 0, down.err
    assert orphans(orchard) == []


def orphans(orchard: Orchard) -> list[str]:
    """Name the processes that work in the project's folder, or name it."""
    root = str(orchard.root)
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            environment = process.environ().get("MLOPS_BUNDLE", "")
            words = [*(process.info["cmdline"] or []), process.cwd(), environment]
        except psutil.Error:
            continue
        if any(root in word for word in words):
            found.append(f"{process.pid} {' '.join(process.info['cmdline'] or [])}")
    return found


@pytest.fixture(scope="session")
def trained(running: Orchard) -> Orchard:
    """The project with its first model, promoted and not yet deployed."""
    file = running.root / ".mlops" / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(file)
    running.flow("ingest", file=file)
    running.flow("train")
    return running


@pytest.fixture(scope="session")
def unanswered(trained: Orchard) -> Told:
    """What a question says to a gateway that no model is behind."""
    file = trained.root / ".mlops" / "question.jsonl"
    file.write_text('{"size": 4.0, "heat": 20.0, "colour": "red"}\n')
    return trained.mlops("predict", str(file))


@pytest.fixture(scope="session")
def served(trained: Orchard, unanswered: Told) -> Orchard:
    """The project with its first model behind the gateway, and two weeks of answers."""
    trained.flow("deploy")
    return trained


@pytest.fixture
def settings(running: Orchard):
    return find_project(running.root).settings
