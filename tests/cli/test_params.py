"""params.yaml as people write it: every verb that reads it names the key, what was given, what may be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.orchard import Told

Say = Callable[..., Told]


def test_a_folder_without_params_is_no_project(say: Say, tmp_path: Path) -> None:
    told = say(tmp_path, "status")
    assert told.code == 2
    assert f"{tmp_path} is not in a project" in told.err
    assert "--project FOLDER" in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        pytest.param("task: binary", "task: [binary", ["params.yaml: line "], id="malformed"),
        pytest.param("gate:\n", "gate:\n  min_row: 3\n", ["gate.min_row", "min_rows"], id="unknown key"),
        pytest.param("gate:\n", "gates:\n", ["gates", "gate,"], id="unknown section"),
        pytest.param("task: binary", "task: binry", ["model.task", "'binry'", "'binary'"], id="bad choice"),
        pytest.param(
            "window: 6d", "window: 6 days", ["monitor.window", "'6 days'", "36h"], id="bad duration"
        ),
        pytest.param("confirm: 1", "confirm: 4", ["monitor", "confirm no greater than of"], id="k above n"),
        pytest.param("target: ripe", "other: ripe", ["data.", "params.yaml"], id="no target"),
        pytest.param("size: number", "ripe: number", ["leave out the target"], id="target as feature"),
        pytest.param("size: number", "score: number", ["score"], id="reserved name"),
    ],
)
def test_a_mistake_in_params_is_named(
    say: Say, project: Path, tmp_path: Path, was: str, becomes: str, named: list[str]
) -> None:
    params = project / "params.yaml"
    assert was in params.read_text()
    params.write_text(params.read_text().replace(was, becomes))
    question = tmp_path / "question.csv"
    question.write_text("size,heat,colour\n4.0,20.0,red\n")
    told = say(project, "predict", str(question))
    assert told.code == 2
    assert told.out == ""
    for name in named:
        assert name in told.err
    assert "Edit " in told.err
    assert "Traceback" not in told.err


def test_an_empty_params_is_refused(say: Say, project: Path) -> None:
    (project / "params.yaml").write_text("")
    told = say(project, "status")
    assert told.code == 2
    assert "a mapping of sections" in told.err


def test_a_mistake_is_one_object_for_machines(say: Say, project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("min_rows: 200", "min_rows: many"))
    told = say(project, "status", "--json")
    assert told.code == 2
    said = json.loads(told.out)
    assert "retrain.min_rows" in said["error"]
    assert "retrain.min_rows" in said["remedy"]


def test_a_mistake_in_the_environment_names_the_variable(
    say: Say, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_GATEWAY_PORT", "high")
    told = say(project, "status")
    assert told.code == 2
    assert "MLOPS_GATEWAY_PORT" in told.err
    assert "'high'" in told.err
