"""Runs whose process was killed: ended for them, once, and nobody else's."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from mlops.adapters.prefect_server.environment import folder_tag
from mlops.adapters.processes import process_id
from mlops.model.registry import FLOW_RUN
from mlops.orchestration.orphans import reap
from mlops.project.run_marks import mark_all_dead, marks
from tests.flows.orchard import Orchard
from tests.patience import until


@contextmanager
def of(orchard: Orchard) -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: orchard.project.folder.prefect_uri}):
        yield


def leave(home: Path, run: str, **facts: str) -> Path:
    file = home / "runs" / f"{run}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    known = {"format": 1, "host": process_id.machine(), "process": process_id.name(psutil.Process())}
    file.write_text(json.dumps(known | facts))
    return file


def test_only_a_process_of_this_machine_that_is_gone_is_dead(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_id.name(psutil.Process(gone.pid))
    leave(tmp_path, "alive")
    leave(tmp_path, "gone", process=name)
    leave(tmp_path, "elsewhere", process=name, host="another")
    # The pid was given out again.
    leave(tmp_path, "before", process=f"{os.getpid()}@1000.00")
    assert [mark.run for mark in marks(tmp_path) if mark.is_dead] == ["before"]
    gone.communicate(b"\n")
    assert [mark.run for mark in marks(tmp_path) if mark.is_dead] == ["before", "gone"]


def test_another_host_name_is_no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = tmp_path / "machine-id"
    stored.write_text(f"{'a' * 32}\n")
    monkeypatch.setattr(process_id, "_IDS", (tmp_path / "absent", stored))
    assert process_id.machine() == "a" * 32
    stored.write_text("uninitialized\n")
    assert process_id.machine() == platform.node()


def test_of_a_home_that_was_brought_from_elsewhere_every_process_is_gone(tmp_path: Path) -> None:
    leave(tmp_path, "here")
    leave(tmp_path, "elsewhere", host="another")
    assert [mark.run for mark in marks(tmp_path) if mark.is_dead] == []
    mark_all_dead(tmp_path)
    assert [mark.run for mark in marks(tmp_path) if mark.is_dead] == ["elsewhere", "here"]


def test_a_mark_that_cannot_be_read_is_no_mark(tmp_path: Path) -> None:
    leave(tmp_path, "torn").write_text("{")
    assert list(marks(tmp_path)) == []


def test_a_verb_that_was_killed_is_ended_in_prefect_and_mlflow_and_goes_on(trained: Orchard) -> None:
    trained.flow("train")  # what other tests left is trained on
    project, client = trained.project, MlflowClient(trained.project.folder.mlflow_uri)
    before = [entry.id for entry in project.ledger.entries()]
    written = trained.hold.with_suffix(".pid")
    trained.hold.touch()
    program = "from mlops.cli import main; main()"
    verb = subprocess.Popen([sys.executable, "-c", program, "-C", str(trained.root), "train", "--force"])
    try:
        until("fit that waits", lambda: written.exists() and written.read_text() == str(verb.pid))
        [mark] = [mark for mark in marks(project.folder.home) if mark.process.startswith(f"{verb.pid}@")]
        experiment = client.get_experiment_by_name("plums").experiment_id
        mine = client.create_run(experiment, tags={FLOW_RUN: mark.run}).info.run_id
        persons = client.create_run(experiment).info.run_id
        verb.send_signal(signal.SIGKILL)
        verb.wait()
    finally:
        trained.hold.unlink()
        written.unlink(missing_ok=True)
    until("end of its mark", lambda: not mark.file.exists(), patience=90)
    run = trained.ask("GET", f"/flow_runs/{mark.run}")
    assert run["state_type"] == "CRASHED"
    assert "Run it again" in run["state"]["message"]
    steps = trained.ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [mark.run]}}})
    assert {step["state_type"] for step in steps} <= {"COMPLETED", "CRASHED"}
    assert client.get_run(mine).info.status == "KILLED"
    assert client.get_run(persons).info.status == "RUNNING"
    client.delete_run(persons)
    # The stages come from DVC's run cache, and the run that exists is found.
    again = trained.mlops("train")
    assert again.code in {0, 3}, again.err  # a champion that came since refuses it
    assert [entry.id for entry in project.ledger.entries()] == before
    # One that ended by itself leaves nothing either.
    until("end of all marks", lambda: not [m for m in marks(project.folder.home) if m.is_dead], patience=90)


def test_a_run_taken_up_by_a_runner_that_was_killed_is_ended_after_a_minute(running: Orchard) -> None:
    deployment = running.ask("GET", "/deployments/name/deploy/plums")["id"]
    made = running.ask(
        "POST",
        f"/deployments/{deployment}/create_flow_run",
        {"state": {"type": "PENDING"}},
    )
    now = datetime.now(UTC)
    with of(running):
        assert reap(running.project, now=now) == []
        [line] = reap(running.project, now=now + timedelta(minutes=2))
        assert made["name"] in line
        assert reap(running.project, now=now + timedelta(minutes=2)) == []
    assert running.ask("GET", f"/flow_runs/{made['id']}")["state_type"] == "CRASHED"


def test_a_verb_killed_before_it_left_its_mark_is_ended_after_a_minute(running: Orchard) -> None:
    flow = running.ask("POST", "/flows/", {"name": "train"})["id"]
    pending = {"flow_id": flow, "state": {"type": "PENDING"}}
    mine = ["mlops", "plums", folder_tag(running.project.folder)]
    ours = running.ask("POST", "/flow_runs/", {**pending, "tags": mine})
    a_clone_s = running.ask("POST", "/flow_runs/", {**pending, "tags": ["mlops", "plums", "in:elsewhere"]})
    persons = running.ask("POST", "/flow_runs/", {**pending, "tags": ["plums"]})
    now = datetime.now(UTC)
    with of(running):
        assert reap(running.project, now=now) == []
        [line] = reap(running.project, now=now + timedelta(minutes=2))
    assert ours["name"] in line
    for other in (a_clone_s, persons):
        assert running.ask("GET", f"/flow_runs/{other['id']}")["state_type"] == "PENDING"
