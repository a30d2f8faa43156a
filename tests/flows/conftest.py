from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlops.deployment.client import Client
from mlops.errors import MlopsError
from mlops.ledger.records import DriftConfirmed
from tests.flows.orchard import EXTRA_EVENTS, HISTORY, Closed, Orchard, Requests, Told, plums, stamped
from tests.patience import until


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test that waits until the loop has closed, from an empty folder on, the time for it."""
    for item in items:
        if "closed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchard]:
    """A project whose Prefect, MLflow, runner and gateway run; nothing of it outlives the tests."""
    root = stamped(
        tmp_path_factory.mktemp("orchard") / "plums",
        extra="MLOPS_RECONCILE_EVERY=1\nMLOPS_RECONCILE_GRACE=15\n",
    )
    orchard = Orchard(root)
    try:
        up = orchard.mlops("up")
        assert up.code == 0, up.err
        yield orchard
    finally:
        orchard.release()
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
    """The project with its first model behind the gateway."""
    # By the command line: a service outlives the process that deployed it.
    done = trained.mlops("deploy")
    assert done.code == 0, done.err
    return trained


def persons_tree(root: Path) -> str:
    """What belongs to the person: HEAD, branch, index and files."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout

    return "\n".join(
        [
            git("symbolic-ref", "HEAD"),
            git("rev-parse", "HEAD"),
            git("ls-files", "--stage"),
            git("status", "--porcelain"),
            git("diff"),
            git("diff", "--cached"),
        ]
    )


@pytest.fixture(scope="session")
def closed(served: Orchard) -> Closed:
    """New plums ripen otherwise; the person is in the middle of an edit, and requests never stop."""
    project = served.project
    as_of = served.season()
    note, module = served.root / "note.txt", served.root / "models" / "plums" / "model.py"
    params = served.root / "params.yaml"
    text, committed = module.read_text(), params.read_text()
    note.write_text("staged\n")
    module.write_text(text + "\nraise SystemExit('half an edit')\n")
    params.write_text(committed.replace("gate:\n  min_rows: 100", "gate:\n  min_rows: 1000000"))
    subprocess.run(["git", "add", "note.txt"], cwd=served.root, check=True)
    person = persons_tree(served.root)
    champion = project.promoted().record.digest
    seen, done = Requests(0, [], set()), threading.Event()
    asking = threading.Thread(target=ask, args=(served, seen, done))
    asking.start()
    served.hold.touch()  # until both have looked at the window, its champion has to serve
    try:
        first = served.mlops("monitor", "--as-of", as_of.isoformat())
        assert first.code == 0, first.err
        second = served.flow("monitor", as_of=as_of)
        served.release()
        drift = project.ledger.last(DriftConfirmed)
        assert drift is not None, first.out
        served.emit(drift, times=EXTRA_EVENTS)
        answer = served.answer(drift)
        until("request after the swap", lambda: len(seen.versions) > 1 or seen.failed)
        # One that still waits would take the place from a training of the tests to come.
        until("end of all runs", lambda: served.ended(drift, EXTRA_EVENTS + 1))
    finally:
        served.release()
        done.set()
        asking.join()
    after = persons_tree(served.root)
    subprocess.run(["git", "reset", "-q", "--", "note.txt"], cwd=served.root, check=True)
    note.unlink()
    module.write_text(text)
    params.write_text(committed)
    return Closed(served, drift, (first.out.strip(), second.text), champion, answer, seen, person, after)


def ask(orchard: Orchard, seen: Requests, done: threading.Event) -> None:
    # Picked long before any window that is judged here.
    row = {"size": 4.0, "heat": 20.0, "colour": "red", "plum": "again", "picked": "2020-01-01T10:00:00+00:00"}
    with Client(orchard.project.folder.address) as client:
        while not done.wait(0.01):
            try:
                seen.versions.add(client.predict([row])["model_version"])
                seen.answered += 1
            except MlopsError as exc:
                seen.failed.append(str(exc))
