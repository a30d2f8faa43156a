from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops.errors import UnavailableError
from mlops.prediction_log.reader import compact, read
from mlops.prediction_log.segment import commit, records, stage
from mlops.rows import Rows, parse_rows
from mlops.schema import Schema
from mlops.task_types.predictions import Predictions

SCHEMA = Schema({"size": "number"}, "ripe", "binary", "picked", "plum")


def segment(folder: Path, name: str, *names: str, month: int = 1) -> Path:
    served = [{"size": 1.0} for _ in names]
    rows = Rows(parse_rows(served, SCHEMA), served, [None] * len(names), [None] * len(names))
    answers = Predictions([True] * len(names), [0.5] * len(names))
    at = datetime(2020, month, 1, tzinfo=UTC)
    stage(folder / f"{name}.jsonl", records(rows, answers, ids=names, at=at, deployment="d", version="3"))
    return folder / f"{name}.jsonl"


@pytest.mark.parametrize("compacted", [False, True])
def test_a_segment_is_in_the_log_once(tmp_path: Path, compacted: bool) -> None:
    log, staged = tmp_path / "log", tmp_path / "staged"
    commit(log, [segment(staged, "d-0", "a", "b")])
    if compacted:
        compact(log, SCHEMA)
    # Rows without an event time lie in the month of their answer: another, at another attempt.
    commit(log, [segment(staged, "d-0", "a", "b", month=2), segment(staged, "d-1", "c", month=2)])
    compact(log, SCHEMA)
    assert read(log, SCHEMA)["id"].tolist() == ["a", "b", "c"]
    assert list(staged.iterdir()) == []


def test_a_regression_has_no_score(tmp_path: Path) -> None:
    rows = Rows(parse_rows([{"size": 1}], SCHEMA), [{"size": 1}], ["p1"], [None])
    at = datetime(2020, 1, 1, tzinfo=UTC)
    [record] = records(rows, Predictions([2.5]), ids=["i"], at=at, deployment="d", version="3")
    assert (record["id"], record["key"], record["prediction"], record["score"]) == ("i", "p1", 2.5, None)


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(UnavailableError, match="prediction log"):
        commit(tmp_path / "log", [segment(tmp_path, "d-0", "a")])
