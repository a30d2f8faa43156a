"""`mlops replay`: the table, the chart, the object, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.project.context import Project
from mlops.tables.conform import conform
from tests.flows.orchard import Told, plums, stamped

Say = Callable[..., Told]
DAYS, CHANGE = 70, 40
TABLE = """\
policy                        log loss   trainings   promoted   rejected   gap closed   seconds
"""
PNG, SVG = b"\x89PNG", b"<?xml"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose lake holds ten weeks, the last month of another season."""
    root = stamped(tmp_path_factory.mktemp("grown") / "plums")
    schema = Project.at(root).schema
    rows = [plums(0, CHANGE, season=0), plums(CHANGE, DAYS - CHANGE, season=1)]
    Lake(root / LAKE, "update").append(conform(pd.concat(rows, ignore_index=True), schema), schema)
    return root


@pytest.fixture
def project(grown: Path) -> Iterator[Path]:
    params = (grown / "params.yaml").read_text()
    yield grown
    (grown / "params.yaml").write_text(params)


@pytest.fixture
def edit(project: Path) -> Callable[[str, str], None]:
    file = project / "params.yaml"

    def replace(old: str, new: str) -> None:
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return replace


def rows_of(table: str) -> dict[str, list[str]]:
    """The cells of each policy, but for the seconds."""
    lines = table.partition("─\n")[2].partition("\n\n")[0].splitlines()
    cells = [re.split(r"\s{2,}", line) for line in lines]
    return {name: figures[:-1] for name, *figures in cells}


def test_the_table_has_a_line_for_each_policy_and_says_what_the_present_settings_cost(
    say: Say, project: Path
) -> None:
    shown = say(project, "replay", "--policy", "never", "--policy", "always", "--set", "retrain.cooldown=30d")
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[0] == TABLE.rstrip("\n")
    rows = rows_of(shown.out)
    assert list(rows) == ["never", "always", "params", "params retrain.cooldown=30d"]
    assert rows["never"][1:] == ["0", "0", "0", "0%"]
    assert rows["always"][1:] == ["9", "9", "0", "100%"]
    assert float(rows["params"][0]) < float(rows["never"][0])
    last = shown.out.strip().splitlines()[-1]
    assert re.fullmatch(r"The present settings \(params\) cost 0\.\d+ more than always, .* with 9\.", last)
    assert "refused" not in shown.out


def test_each_decision_is_shown_with_its_reason(say: Say, project: Path) -> None:
    shown = say(project, "replay", "--policy", "params", "--decisions")
    assert "first     Promoted as the first model: log loss" in shown.out
    assert re.search(
        r"2026-02-1\d 00:00  window    Drift is confirmed: \d of \d columns drifted \(.*size", shown.out
    )


def test_the_object_has_the_steps_and_the_decisions(say: Say, project: Path) -> None:
    shown = json.loads(say(project, "replay", "--policy", "never", "--json").out)
    never, params = shown["policies"]
    assert (shown["metric"], never["title"], params["title"]) == ("log_loss", "never", "params")
    assert set(never["steps"][0]) == {"start", "end", "version", "rows", "labelled", "loss"}
    assert {one["kind"] for one in params["decisions"]} >= {"first", "window"}
    assert shown["best"] == "params"


@pytest.mark.parametrize(("name", "magic"), [("replay.png", PNG), ("replay.svg", SVG)])
def test_a_chart_is_drawn(say: Say, project: Path, tmp_path: Path, name: str, magic: bytes) -> None:
    shown = say(project, "replay", "--policy", "never", "--chart", str(tmp_path / name))
    assert shown.code == 0, shown.err
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(magic)
    say(project, "replay", "--policy", "never", "--chart", str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == drawn


@pytest.mark.parametrize(
    ("words", "named", "remedy"),
    [
        (("--policy", "sometimes"), "'sometimes' is no policy", "every=30d"),
        (("--policy", ""), "A policy has no name", "never, always"),
        (("--set", "deploy.target=process"), "deploy.target", "retrain"),
        (("--set", "retrain.cooldown"), "is not KEY=VALUE", "retrain.cooldown=30d"),
        (("--set", "gate.metric=brier"), "gate.metric", "the project's"),
        (("--set", "retrain.cooldown=soon"), "retrain.cooldown", "a duration"),
        (("--step", "soon"), "--step", "7d"),
        (("--step", "0d"), "--step", "7d"),
        (("--start", "2030-01-01"), "not within the history", "rows before and after"),
        (("--chart", "replay.gif"), "a .png or an .svg", "Name it"),
        (("--chart", "nowhere/replay.png"), "folder does not exist", "Make it"),
    ],
)
def test_what_cannot_be_played_is_named_with_the_way_out(
    say: Say, project: Path, words: tuple[str, ...], named: str, remedy: str
) -> None:
    refused = say(project, "replay", *words)
    assert refused.code in (1, 2)
    assert named in refused.err
    assert remedy in refused.err


def test_a_project_without_a_time_column_has_no_history_to_play(
    say: Say, project: Path, edit: Callable[[str, str], None]
) -> None:
    edit("  time: picked\n", "")
    refused = say(project, "replay")
    assert refused.code == 2
    assert "data.time names no column" in refused.err


def test_a_history_shorter_than_the_windows_says_what_it_would_need(
    say: Say, project: Path, edit: Callable[[str, str], None]
) -> None:
    edit("window: 13d", "window: 90d")
    refused = say(project, "replay")
    assert refused.code == 1
    assert "too short for a first model and one step" in refused.err
    assert "--start" in refused.err


def test_two_replays_of_a_project_at_once_are_a_conflict(say: Say, project: Path) -> None:
    with Project.at(project).lock("replay"):
        refused = say(project, "replay", "--policy", "never")
    assert refused.code == 1
    assert "Another replay of this project is running" in refused.err
