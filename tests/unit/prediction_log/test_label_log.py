from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.errors import DataError, MissingColumnError, UnknownLabelsError
from mlops.prediction_log import label_log
from mlops.prediction_log.label_log import Added
from mlops.schema import Schema

SCHEMA = Schema({"size": "number"}, "ripe", "binary", "picked", "plum")
NOON = datetime(2013, 7, 4, 12, tzinfo=UTC)
KNOWN = ("a", "b", "c", "7")


def add(folder: Path, values: dict[str, Any], **other: Any) -> Added:
    by = other.pop("by", "key")
    name = "id" if by == "id" else "plum"
    table = pd.DataFrame({name: list(values), "ripe": list(values.values())})
    return label_log.add(folder, table, **{"by": by, "schema": SCHEMA, "known": KNOWN, "at": NOON, **other})


def held(folder: Path) -> dict[str, Any]:
    frame = label_log.read(folder)
    return dict(zip(frame["value"], frame["label"].tolist(), strict=True))


def test_labels_added_are_read_back(tmp_path: Path) -> None:
    assert add(tmp_path, {"a": True, "b": False}) == Added(2, 0, 0)
    assert held(tmp_path) == {"a": True, "b": False}
    assert label_log.read(tmp_path)["at"].tolist() == [pd.Timestamp(NOON)] * 2


def test_ids_may_stand_in_the_column_that_scoring_wrote(tmp_path: Path) -> None:
    table = pd.DataFrame({"prediction_id": ["a"], "ripe": [True]})
    assert label_log.add(tmp_path, table, by="id", schema=SCHEMA, known=KNOWN, at=NOON).rows == 1


def test_no_labels_read_as_an_empty_table(tmp_path: Path) -> None:
    assert list(label_log.read(tmp_path / "none")) == ["by", "value", "label", "at"]


def test_adding_the_same_labels_again_adds_nothing(tmp_path: Path) -> None:
    add(tmp_path, {"a": True, "b": False})
    assert add(tmp_path, {"a": True, "b": False}, at=NOON + timedelta(1)) == Added(0, 0, 0)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_correction_wins_and_the_first_word_is_kept(tmp_path: Path) -> None:
    add(tmp_path, {"a": True, "b": False})
    assert add(tmp_path, {"a": False, "c": True}, at=NOON + timedelta(1)) == Added(2, 0, 1)
    assert held(tmp_path) == {"a": False, "b": False, "c": True}
    assert len(list(tmp_path.iterdir())) == 2


def test_unknown_labels_are_refused_and_nothing_is_added(tmp_path: Path) -> None:
    with pytest.raises(UnknownLabelsError, match="1 of 2 labels name a key") as caught:
        add(tmp_path, {"a": True, "z": True})
    assert caught.value.unknown == ("z",)
    assert held(tmp_path) == {}


def test_unknown_labels_can_be_skipped(tmp_path: Path) -> None:
    assert add(tmp_path, {"a": True, "z": True}, skip_unknown=True) == Added(1, 1, 0)
    assert held(tmp_path) == {"a": True}


def test_an_empty_label_is_none_yet(tmp_path: Path) -> None:
    assert add(tmp_path, {"a": 1, "b": None}) == Added(1, 0, 0, empty=1)
    assert held(tmp_path) == {"a": 1}
    assert type(held(tmp_path)["a"]) is int


def test_a_key_that_a_table_widened_is_the_same_key(tmp_path: Path) -> None:
    table = pd.DataFrame({"plum": [7.0, None], "ripe": ["yes", None]})
    added = label_log.add(tmp_path, table, by="key", schema=SCHEMA, known=KNOWN, at=NOON)
    assert (added.rows, held(tmp_path)) == (1, {"7": "yes"})


def test_the_last_of_two_rows_for_one_thing_counts(tmp_path: Path) -> None:
    table = pd.DataFrame({"plum": ["a", "a"], "ripe": [True, False]})
    label_log.add(tmp_path, table, by="key", schema=SCHEMA, known=KNOWN, at=NOON)
    assert held(tmp_path) == {"a": False}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match="ripe"):
        label_log.add(tmp_path, pd.DataFrame({"plum": ["a"]}), by="key", schema=SCHEMA, known=KNOWN, at=NOON)


def test_labels_by_key_need_a_key(tmp_path: Path) -> None:
    schema = Schema({"size": "number"}, "ripe", "binary")
    with pytest.raises(DataError, match="has no key column"):
        label_log.add(tmp_path, pd.DataFrame({"ripe": [True]}), by="key", schema=schema, known=KNOWN, at=NOON)


def test_a_label_of_a_regression_is_a_finite_number(tmp_path: Path) -> None:
    schema = Schema({"size": "number"}, "ripe", "regression", key="plum")
    for wrong in ("soon", float("inf")):
        with pytest.raises(DataError, match="finite"):
            add(tmp_path, {"a": wrong}, schema=schema)
    add(tmp_path, {"a": 3, "b": 2.5}, schema=schema)
    assert held(tmp_path) == {"a": 3.0, "b": 2.5}


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_labels_join_the_predictions_they_name(tmp_path: Path, task: str) -> None:
    schema = Schema({"size": "number"}, "ripe", task, "picked", "plum")
    log = pd.DataFrame({"id": ["1", "2", "3", "4"], "key": ["a", "b", "c", None]})
    add(tmp_path, {"a": 1, "b": 1}, schema=schema)
    add(tmp_path, {"1": 0, "4": 0}, schema=schema, by="id", known=["1", "4"], at=NOON + timedelta(1))
    add(tmp_path, {"b": 0}, schema=schema, at=NOON + timedelta(2))
    joined = label_log.join(log, label_log.read(tmp_path), schema)["ripe"]
    assert joined.isna().tolist() == [False, False, True, False]
    assert joined.dropna().tolist() == [0, 0, 0]
    assert joined.dtype == (float if task == "regression" else object)


def test_joining_no_labels_leaves_the_target_null(tmp_path: Path) -> None:
    log = pd.DataFrame({"id": ["1"], "key": ["a"]})
    assert label_log.join(log, label_log.read(tmp_path), SCHEMA)["ripe"].isna().all()
