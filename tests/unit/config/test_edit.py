from __future__ import annotations

import difflib
import os
import time
from pathlib import Path

import pytest

from mlops.config.edit import change, override
from mlops.errors import ConfigError

PARAMS = """\
# The one file you edit.

data:
  name: plums       # as in the orchard
  target: ripe
  features: {size: number, "colour": 'category'}   # two

model:
  builder: models/plums/model.py
  task: binary
  params:
    rates: [1e-4, 012]
    names:
      - "a"         # first
      - b

monitor:
  window: 6d        # a week but one


# at the end
"""
SCHEDULE = """\
schedule:           # in Berlin
  timezone: Europe/Berlin
  # every Monday
  monitor: 0 6 * * 1     # before the meeting
  retrain: 4w
"""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS)
    return file


def differences(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_the_first_schedule_is_added_and_nothing_else_is_touched(params: Path) -> None:
    said = change(params, "schedule", {"monitor": "*/30 * * * *"})
    assert str(said.schedule.monitor) == "*/30 * * * *"
    assert [line for line in differences(PARAMS, params.read_text(encoding="utf-8")) if line.strip("+ ")] == [
        "+ schedule:",
        "+   monitor: '*/30 * * * *'",
    ]


def test_one_key_is_changed_and_its_comment_stays(params: Path) -> None:
    params.write_text(PARAMS + SCHEDULE, encoding="utf-8")
    change(params, "schedule", {"monitor": "6h"})
    assert differences(PARAMS + SCHEDULE, params.read_text(encoding="utf-8")) == [
        "-   monitor: 0 6 * * 1     # before the meeting",
        "+   monitor: 6h            # before the meeting",
    ]


def test_a_key_taken_away_is_empty_and_its_comment_stays(params: Path) -> None:
    params.write_text(PARAMS + SCHEDULE, encoding="utf-8")
    said = change(params, "schedule", {"monitor": None})
    assert said.schedule.monitor is None
    assert differences(PARAMS + SCHEDULE, params.read_text(encoding="utf-8")) == [
        "-   monitor: 0 6 * * 1     # before the meeting",
        "+   monitor:               # before the meeting",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "data:\n    name: plums\n    target: ripe\n    features:\n        size: number   # cm\n"
        "model: {builder: m.py, task: binary}\n",
        "data: {name: plums, target: ripe, features: {size: number}}\n"
        "model:\n  builder: m.py\n  task: binary\n  trusted:\n  - a.B   # ours\n  - c.D\n",
    ],
    ids=["four spaces", "lists that are not indented"],
)
def test_it_is_indented_as_its_owner_does(params: Path, text: str) -> None:
    params.write_text(text, encoding="utf-8")
    change(params, "schedule", {"monitor": "6h"})
    assert not [line for line in differences(text, params.read_text(encoding="utf-8")) if line[0] == "-"]


@pytest.mark.parametrize(
    ("values", "path", "allowed"),
    [
        ({"monitor": "61 * * * *"}, "schedule.monitor", "Bad minute"),
        ({"monitor": "often"}, "schedule.monitor", "6h or 1d"),
        ({"monitor": "6h", "timezone": "Berlin"}, "schedule.timezone", "Europe/Berlin"),
        ({"deploy": "6h"}, "schedule.deploy", "ingest, monitor, score, retrain"),
        ({"ingest": "6h"}, "data.source", "schedule.ingest"),
    ],
)
def test_a_bad_value_is_refused_and_the_file_untouched(
    params: Path, values: dict[str, str | None], path: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        change(params, "schedule", values)
    assert refused.value.path == path
    assert allowed in refused.value.allowed
    assert params.read_text(encoding="utf-8") == PARAMS
    assert list(params.parent.iterdir()) == [params]


def test_ingest_may_have_a_schedule_where_data_has_a_source(params: Path) -> None:
    params.write_text(PARAMS.replace("target: ripe", "target: ripe\n  source: incoming/"), encoding="utf-8")
    assert change(params, "schedule", {"ingest": "1d"}).schedule.of("ingest") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PARAMS.replace("window: 6d", "window: 6 days"), "monitor.window"),
        (PARAMS + "monitor:\n  window: 7d\n", r"line 22: .*monitor"),
        (PARAMS + "schedule: 6h\n", "schedule"),
    ],
    ids=["a bad value", "a section twice", "no section"],
)
def test_a_file_that_was_wrong_before_is_not_written(params: Path, text: str, said: str) -> None:
    params.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        change(params, "schedule", {"monitor": "6h"})
    assert params.read_text(encoding="utf-8") == text


def test_the_draft_of_a_killed_process_goes_and_that_of_one_at_work_stays(params: Path) -> None:
    killed, at_work = (params.with_name(f".params.yaml.{pid}.tmp") for pid in (1, os.getppid()))
    for draft in (killed, at_work):
        draft.write_text("data: {")
    minutes_ago = time.time() - 300
    os.utime(killed, (minutes_ago, minutes_ago))
    change(params, "schedule", {"monitor": "0 6 * * 1"})
    assert list(params.parent.glob(".params.yaml*")) == [at_work]


def test_its_mode_and_a_link_to_it_stay(params: Path, tmp_path: Path) -> None:
    params.chmod(0o640)
    link = tmp_path / "link" / "params.yaml"
    link.parent.mkdir()
    link.symlink_to(params)
    change(link, "schedule", {"monitor": "6h"})
    assert link.is_symlink()
    assert "6h" in params.read_text(encoding="utf-8")
    assert params.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("key", "text", "written", "read"),
    [
        ("model.params.depth", "6", ["+     depth: 6"], 6),
        ("model.params.rate", "1e-5", ["+     rate: 1e-05"], 1e-5),
        ("model.params.rate", "2.5e300", ["+     rate: 2.5e+300"], 2.5e300),
        ("model.params.early", "yes", ["+     early: yes"], "yes"),
        ("model.params.early", "true", ["+     early: true"], True),
        ("model.params.word", "'true'", ['+     word: "true"'], "true"),
        ("model.params.word", "012", ["+     word: 12"], 12),
        ("model.params.sizes", "[a, 1e-4]", ["+     sizes: [a, 0.0001]"], ["a", 1e-4]),
        ("model.params.deep.er", "3", ["+     deep:", "+       er: 3"], {"er": 3}),
        ("model.params.empty", "", ["+     empty:"], None),
    ],
)
def test_a_key_is_set_by_its_path_and_read_as_it_was_meant(
    params: Path, key: str, text: str, written: list[str], read: object
) -> None:
    said = override(params, {key: text})
    assert differences(PARAMS, params.read_text(encoding="utf-8")) == written
    assert said.model.params[key.split(".")[2]] == read


def test_a_value_it_has_already_leaves_the_file_as_it_is(params: Path) -> None:
    before = params.stat()
    override(params, {"model.params.names": "[a, b]", "model.task": "binary", "data.features.size": "number"})
    assert params.read_text(encoding="utf-8") == PARAMS
    assert params.stat().st_ino == before.st_ino


SEARCHED = PARAMS.replace(
    "  task: binary\n", "  task: binary\n  search:\n    space:\n      depth: [2, 4]\n      rate: [0.1, 0.2]\n"
)


@pytest.mark.parametrize("values", [{"model.params.depth": "6"}, {"model.params": "{depth: 6}"}])
def test_a_parameter_that_is_set_is_not_searched(params: Path, values: dict[str, str]) -> None:
    params.write_text(SEARCHED, encoding="utf-8")
    model = override(params, values).model
    assert model.params["depth"] == 6
    assert model.search is not None
    assert list(model.search.space) == ["rate"]


def test_where_all_that_is_searched_is_set_nothing_is_searched(params: Path) -> None:
    params.write_text(SEARCHED, encoding="utf-8")
    model = override(params, {"model.params.depth": "6", "model.params.rate": "0.5"}).model
    assert (model.params["depth"], model.params["rate"], model.search) == (6, 0.5, None)


def test_a_parameter_that_is_fixed_at_what_it_is_changes_the_file_by_the_search(params: Path) -> None:
    params.write_text(SEARCHED, encoding="utf-8")
    override(params, {"model.params.depth": "6"})
    once = params.read_text(encoding="utf-8")
    params.write_text(once.replace("rate: [0.1", "depth: [2, 4]\n      rate: [0.1"), encoding="utf-8")
    override(params, {"model.params.depth": "6"})
    assert params.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    ("key", "text"),
    [("model.params", "3"), ("model.search", "3"), ("model.search.space", "3"), ("model", "3")],
)
def test_what_is_no_mapping_is_refused_with_its_path(params: Path, key: str, text: str) -> None:
    params.write_text(SEARCHED, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^--set: ") as refused:
        override(params, {key: text, "train.window": "9d"})
    assert refused.value.path == key


def test_a_section_that_is_not_there_is_added(params: Path) -> None:
    assert override(params, {"train.window": "90d"}).train.window.days == 90
    assert differences(PARAMS, params.read_text(encoding="utf-8")) == ["+ train:", "+   window: 90d"]


@pytest.mark.parametrize(
    ("key", "text", "path", "allowed"),
    [
        ("train.windw", "3d", "train.windw", "window, holdout, folds, gap"),
        ("train.window", "3 days", "train.window", "a duration"),
        ("model.seed", "many", "model.seed", "integer"),
        ("model.seed.x", "3", "model.seed", "integer"),
        ("model.task.x", "3", "model.task.x", "a key of a mapping, which model.task is not"),
        ("data.features.size", "numbr", "data.features.size", "'number'"),
        ("model.params.x", "[1", "model.params.x", "YAML"),
        ("model.params..x", "1", "model.params..x", "a dot between"),
        ("gate.metric", "brier", "gate.metric", "data.features, model, train"),
        ("data.name", "pears", "data.name", "data.features, model, train"),
        ("models", "1", "models", "data.features, model, train"),
    ],
)
def test_a_path_or_value_that_is_not_allowed_is_refused_with_what_is(
    params: Path, key: str, text: str, path: str, allowed: str
) -> None:
    with pytest.raises(ConfigError, match=r"^--set: ") as refused:
        override(params, {key: text})
    assert refused.value.path == path
    assert allowed in refused.value.allowed
    assert params.read_text(encoding="utf-8") == PARAMS


def test_a_file_that_was_wrong_before_is_told_by_its_own_name(params: Path) -> None:
    params.write_text(PARAMS.replace("window: 6d", "window: 6 days"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^params.yaml: monitor.window"):
        override(params, {"model.seed": "3"})


def test_a_file_that_a_value_makes_wrong_is_told_by_its_own_name(params: Path) -> None:
    params.write_text(f"{PARAMS}gate: {{metric: brier}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^params.yaml: gate.metric: got 'brier'"):
        override(params, {"model.task": "regression"})
