from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.consistency import RowRate, check, find
from mlops.config.durations import format_duration, parse_duration
from mlops.config.params import Params
from mlops.config.project_folder import load_params
from mlops.errors import ConfigError
from tests.unit.config.test_project_folder import ROOT

HARD = {
    "a gap below the maturity": ({"train.gap": "12h"}, "train.gap", "1d"),
    "folds below a block": ({"train.folds": 20}, "train.holdout", "20d"),
    "a holdout below the gate's blocks": (
        {"gate.min_blocks": 15, "retrain.cooldown": "20d"},
        "train.holdout",
        "15d",
    ),
}
SOFT = {
    "a short cooldown": ({"retrain.cooldown": "5d"}, "retrain.cooldown", "6d"),
    "a window below the holdout": ({"train.window": "13d"}, "train.window", "14d"),
    "a retraining on few rows": ({"retrain.min_rows": 499}, "retrain.min_rows", "500"),
}


def params(changes: dict[str, Any] | None = None, *, time: str | None = "at") -> Params:
    """Return params.yaml with its defaults, but for some keys."""
    sections: dict[str, dict[str, Any]] = {
        "data": {"name": "plums", "target": "ripe", "features": {"size": "number"}, "time": time},
        "model": {"builder": "model.py", "task": "binary"},
    }
    for path, value in (changes or {}).items():
        section, key = path.split(".")
        sections.setdefault(section, {})[key] = value
    return Params.model_validate(sections)


def paths(changed: Params, rate: RowRate | None = None) -> list[str]:
    return [one.path for one in find(changed, rate)]


def test_the_defaults_fit_one_another() -> None:
    assert find(params()) == find(params(time=None)) == ()


def test_the_project_of_this_repository_is_consistent() -> None:
    assert find(load_params(ROOT / "params.yaml"), RowRate(8910, timedelta(days=10))) == ()


@pytest.mark.parametrize(("changes", "path", "allowed"), HARD.values(), ids=HARD)
def test_what_could_never_be_right_is_refused(changes: dict[str, Any], path: str, allowed: str) -> None:
    changed = params(changes)
    assert [(one.path, one.is_hard) for one in find(changed)] == [(path, True)]
    with pytest.raises(ConfigError, match=rf"{path}: got '\w+', allowed: {allowed} or more \(.+\)") as caught:
        check(changed)
    assert caught.value.remedy == f"Edit {path} in params.yaml."


@pytest.mark.parametrize(("changes", "path", "allowed"), SOFT.values(), ids=SOFT)
def test_what_only_wastes_work_is_a_warning(
    changes: dict[str, Any], path: str, allowed: str, caplog: pytest.LogCaptureFixture
) -> None:
    changed = params(changes)
    with caplog.at_level(logging.WARNING, logger="mlops"):
        check(changed)
    assert [(one.path, one.is_hard) for one in find(changed)] == [(path, False)]
    assert path in caplog.text
    assert f"allowed: {allowed}" in caplog.text


def test_the_hard_ones_come_first_and_all_are_named() -> None:
    changed = params({"monitor.label_maturity": "10d", "retrain.cooldown": "1d", "retrain.min_rows": 499})
    assert paths(changed) == ["train.gap", "retrain.min_rows", "retrain.cooldown"]


def test_without_a_time_column_no_window_of_the_table_counts() -> None:
    changed = {"train.gap": "1h", "train.holdout": "1h", "train.window": "1m", "retrain.cooldown": "1m"}
    assert len(find(params(changed))) >= 4
    assert find(params(changed, time=None)) == ()


def test_labels_may_take_longer_than_a_window() -> None:
    late = {"monitor.window": "7d", "monitor.label_maturity": "30d", "train.gap": "30d"}
    assert paths(params(late | {"retrain.cooldown": "90d"})) == []


def test_a_cooldown_that_starts_nothing_is_not_asked_about() -> None:
    assert find(params({"retrain.cooldown": "1d", "retrain.policy": "never"})) == ()


def test_windows_of_hours_are_consistent_with_blocks_of_an_hour() -> None:
    hours = {"train.window": "2d", "train.holdout": "8h", "train.gap": "1h", "gate.block": "1h"}
    waits = {"monitor.window": "6h", "monitor.label_maturity": "1h", "retrain.cooldown": "6h"}
    assert find(params(hours | waits)) == ()


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        (RowRate(1400, timedelta(days=14)), []),  # 500 rows in 5 days
        (RowRate(700, timedelta(days=14)), ["retrain.cooldown"]),  # in 10 days and a gap
        (RowRate(490, timedelta(days=14)), ["gate.min_rows"]),
        (RowRate(0, timedelta(days=14)), ["gate.min_rows"]),
        (RowRate(1400, timedelta(days=28)), ["retrain.cooldown"]),
    ],
)
def test_the_gate_s_rows_must_come(rate: RowRate, found: list[str]) -> None:
    assert paths(params(), rate) == found


def test_a_share_of_the_rows_is_held_out_where_they_have_no_time() -> None:
    assert paths(params(time=None), RowRate(2700)) == []  # 14 of 74 days of them
    assert paths(params(time=None), RowRate(2600)) == ["gate.min_rows"]


def test_one_row_is_always_possible() -> None:
    assert paths(params({"gate.min_rows": 1}, time=None), RowRate(0)) == []


DURATIONS = st.timedeltas(timedelta(seconds=1), timedelta(days=900_000_000)).map(format_duration)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("train.window", "train.holdout", "train.gap", "gate.block"), DURATIONS)
        | dict.fromkeys(("monitor.window", "monitor.label_maturity", "retrain.cooldown"), DURATIONS)
        | {"train.folds": st.integers(1, 20), "gate.min_blocks": st.integers(2, 10**12)}
        | {"gate.min_rows": st.integers(1, 10**12), "retrain.min_rows": st.integers(1, 10**12)}
    ),
    st.none() | st.builds(RowRate, st.integers(0, 10**9), st.none() | st.timedeltas(timedelta(0))),
)
def test_every_finding_can_be_spelt_and_following_it_ends_it(
    changes: dict[str, Any], rate: RowRate | None
) -> None:
    for one in find(params(changes), rate):
        assert one.path in one.error.message
        if one.allowed.endswith(" or more") and one.path != "retrain.min_rows":
            least = one.allowed.removesuffix(" or more")
            assert parse_duration(least) > parse_duration(one.value)


@pytest.mark.parametrize("path", ["train.window", "train.holdout", "gate.block", "monitor.window"])
def test_a_window_of_no_length_is_none(path: str) -> None:
    with pytest.raises(ValueError, match="a duration above 0"):
        params({path: "0d"})
