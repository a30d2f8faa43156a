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
        pytest.param(
            "gate:\n",
            "gate:\n  metric: squared_error\n",
            ["gate.metric", "'squared_error'", "log_loss, brier", "model.task is binary"],
            id="a loss of another task",
        ),
        pytest.param("confirm: 1", "confirm: 4", ["monitor", "confirm no greater than of"], id="k above n"),
        pytest.param("target: ripe", "other: ripe", ["data.", "params.yaml"], id="no target"),
        pytest.param("size: number", "ripe: number", ["leave out the target"], id="target as feature"),
        pytest.param(
            "target: ripe",
            "target: ripe\n  source: {sql: select 1}",
            ["data.source.url", "a value, which it must have"],
            id="query without an address",
        ),
        pytest.param(
            "target: ripe",
            "target: ripe\n  source: {delta: in, versio: 3}",
            ["data.source.versio", "delta, version"],
            id="unknown key of a source",
        ),
        pytest.param(
            "target: ripe",
            "target: ripe\n  on_duplicate: first",
            ["data.on_duplicate", "'update' or 'keep'"],
            id="unknown rule for duplicates",
        ),
        pytest.param("size: number", "score: number", ["score"], id="reserved name"),
        *(
            pytest.param(
                "  seed: 7\n",
                f"  search: {{{search}}}\n",
                [f"params.yaml: model.search.{named}", said],
                id=f"search {search}",
            )
            for search, named, said in [
                ("trials: 3", "space: got 'nothing'", "a value"),
                ("space: {}", "space", "at least 1"),
                ("space: {a: [1]}, trial: 3", "trial: ", "trials, time_limit"),
                ("space: {a: [1]}, trials: 0", "trials", "greater than or equal to 1"),
                ("space: {a: [1]}, folds: 1", "folds", "greater than or equal to 2"),
                ("space: {a: [1]}, time_limit: 10", "time_limit", "36h"),
                ("space: {a: {low: 1, height: 3}}", "space.a.height", "low, high, log, step, choices"),
                ("space: {a: {low: 1}}", "space.a", "low and high, or a list of values"),
                ("space: {a: {low: 3, high: 1}}", "space.a", "low below high"),
                ("space: {a: {low: 0, high: 1, log: true}}", "space.a", "log with low above 0"),
                ("space: {a: {low: 1, high: 9, log: true, step: 2}}", "space.a", "either log or step"),
                ("space: {a: {low: 1, high: 9, step: 0}}", "space.a.step", "greater than 0"),
                ("space: {a: {low: one, high: 9}}", "space.a.low: ", "a finite number"),
                ("space: {a: {low: 1, high: 9, choices: [1]}}", "space.a", "either low and high, or"),
                ("space: {a: []}", "space.a.choices: ", "at least 1"),
                ("space: {a: [[1]]}", "space.a.choices.0: ", "text, a number"),
                ("space: {a: 3}", "space.a", "dictionary"),
            ]
        ),
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


@pytest.mark.parametrize("source", ["{sql: q, url: 'db://me:hunter2@host/x'}", "s3://me:hunter2@bucket/x"])
def test_a_password_in_params_is_refused_and_not_told_again(say: Say, project: Path, source: str) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("target: ripe", f"target: ripe\n  source: {source}"))
    told = say(project, "status")
    assert told.code == 2
    assert "${DB_PASSWORD}" in told.err
    assert "hunter2" not in told.err


def test_a_contract_that_is_not_there_or_wrong_is_named(say: Say, project: Path, tmp_path: Path) -> None:
    params, question = project / "params.yaml", tmp_path / "question.csv"
    params.write_text(params.read_text().replace("target: ripe", "target: ripe\n  contract: rules.yaml"))
    question.write_text("size,heat,colour\n4.0,20.0,red\n")
    absent = say(project, "data", "check", str(question))
    (project / "rules.yaml").write_text("columns: {size: {type: category}}")
    wrong = say(project, "data", "check", str(question))
    (project / "rules.yaml").unlink()
    assert (absent.code, wrong.code) == (2, 2)
    assert "rules.yaml" in absent.err
    assert "rules.yaml: columns.size.type: got 'category', allowed: number" in wrong.err


def test_without_a_contract_a_table_is_checked_by_its_columns_alone(
    say: Say, project: Path, tmp_path: Path
) -> None:
    table = tmp_path / "plums.csv"
    table.write_text("plum,picked,size,heat,colour,ripe\na,2026-01-01,4.0,20.0,red,True\n")
    assert say(project, "data", "check", str(table)).out == "plums.csv: 1 row, 1 good, 0 for quarantine\n"
    table.write_text("plum,picked,size,heat,colour,ripe\na,2026-01-01,big,20.0,red,True\n")
    told = say(project, "data", "check", str(table))
    assert told.code == 3
    assert "size holds 'big' in row 0" in told.out


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
