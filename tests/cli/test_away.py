"""Verbs where a part is away, or another has its place: said within seconds, and nothing begun."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.files.ports import free_port
from mlops.ledger.store import Ledger
from mlops.project.context import Project
from mlops.project.health import serving_supervisor, tools_supervisor
from tests.flows.orchard import PORTS, Told, mlops

Say = Callable[..., Told]


def entries(project: Path) -> int:
    return len(Ledger(Project.at(project).folder.ledger_uri).entries())


@pytest.fixture
def question(tmp_path: Path) -> Path:
    file = tmp_path / "question.csv"
    file.write_text("size,heat,colour\n4.0,20.0,red\n")
    return file


def test_with_prefect_elsewhere_down_a_flow_ends_within_seconds(project: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    away = {"PREFECT_API_URL": f"{nowhere}/api", "MLFLOW_TRACKING_URI": nowhere}
    before = entries(project)
    told = mlops(project, "train", "--json", environment=away)
    assert told.code == 1
    said = json.loads(told.out)
    assert "Prefect does not respond" in said["error"]
    assert "mlops up" in said["remedy"]
    assert told.seconds < 15
    assert entries(project) == before
    assert not (project / "dvc.lock").exists()


def test_a_question_with_the_gateway_down_says_what_to_start(say: Say, project: Path, question: Path) -> None:
    told = say(project, "predict", str(question))
    assert told.code == 1
    assert Project.at(project).folder.address in told.err
    assert "mlops up" in told.err
    assert "mlops deploy" in told.err


def test_a_question_without_a_feature_is_not_asked(say: Say, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("size,colour\n4.0,red\n")
    told = say(project, "predict", str(file))
    assert told.code == 1
    assert "has no column heat" in told.err


def test_a_file_that_is_not_there_is_named(say: Say, project: Path) -> None:
    told = say(project, "labels", "add", "nowhere.csv")
    assert told.code == 2
    assert "nowhere.csv" in told.err


def test_labels_by_another_name_are_a_usage_error(say: Say, project: Path, question: Path) -> None:
    told = say(project, "labels", "add", str(question), "--by", "colour")
    assert told.code == 2
    assert "colour" in told.err


def test_a_time_that_is_none_is_a_usage_error(say: Say, project: Path) -> None:
    told = say(project, "monitor", "--as-of", "yesterday")
    assert told.code == 2
    assert "'yesterday'" in told.err
    assert "2013-04-01" in told.err


@pytest.mark.parametrize("port", PORTS)
def test_a_taken_port_names_its_owner_and_starts_nothing(
    say: Say, project: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv(f"MLOPS_{port}", str(server.getsockname()[1]))
        told = say(project, "up")
        opened = Project.at(project)
        assert (tools_supervisor(opened).pid(), serving_supervisor(opened).pid()) == (None, None)
    assert told.code == 1
    assert f"(pid {os.getpid()})" in told.err
    assert f"MLOPS_{port}" in told.err


def test_status_with_everything_down_is_one_object(say: Say, project: Path) -> None:
    told = say(project, "status", "--json")
    assert told.code == 0
    seen = json.loads(told.out)
    assert seen["serving"] is None
    assert [part["up"] for part in seen["parts"]] == [False] * 4


def test_down_with_nothing_up_says_so(say: Say, project: Path) -> None:
    told = say(project, "down", "--serving")
    assert (told.code, told.out) == (0, "Nothing was running.\n")
