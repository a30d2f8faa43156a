from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import EmptyWindowError
from mlops.schema import Schema
from mlops.split import split

TIMED = Schema({"x": "number"}, "y", "binary", time="at")
KEYED = Schema({"x": "number"}, "y", "binary", key="id")
START = pd.Timestamp("2013-01-01", tz="UTC")


def hours(offsets: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"x": 0.0, "y": True, "at": [START + pd.Timedelta(hours=h) for h in offsets]})


def days(n: float) -> timedelta:
    return timedelta(days=n)


def test_the_newest_rows_are_held_out_and_the_gap_is_left_out() -> None:
    parts = split(hours(list(range(24 * 30))), TIMED, window=days(10), holdout=days(5), gap=days(1))
    end = START + pd.Timedelta(hours=24 * 30 - 1)

    assert parts.holdout["at"].min() == end - days(5) == parts.holdout_start
    assert parts.holdout["at"].max() == end == parts.holdout_end
    assert parts.train["at"].max() == end - days(6) - timedelta(hours=1)  # half-open
    assert parts.train["at"].min() == end - days(16) == parts.train_start


@given(st.lists(st.integers(0, 2000), min_size=2, max_size=60), st.integers(1, 20), st.integers(0, 5))
def test_a_split_is_disjoint_and_in_order(offsets: list[int], holdout: int, gap: int) -> None:
    try:
        parts = split(hours(offsets), TIMED, window=days(60), holdout=days(holdout), gap=days(gap))
    except EmptyWindowError:
        return
    assert parts.train["at"].max() < parts.holdout["at"].min() - days(gap)
    assert len(parts.train) + len(parts.holdout) <= len(offsets)
    assert parts.holdout["at"].max() == hours(offsets)["at"].max()


def test_an_empty_window_is_told_with_its_times() -> None:
    with pytest.raises(EmptyWindowError, match="No row lies between 2012-12-14 05:00 and 2012-12-24 05:00"):
        split(hours([1, 5]), TIMED, window=days(10), holdout=days(7), gap=days(1))


def test_without_rows_there_is_no_split() -> None:
    with pytest.raises(EmptyWindowError, match="no labelled rows"):
        split(hours([1]).iloc[:0], TIMED, window=days(10), holdout=days(7), gap=days(1))


def test_without_time_a_row_keeps_its_side_as_others_are_added() -> None:
    frame = pd.DataFrame({"x": 1.0, "y": True, "id": [f"row-{i}" for i in range(1000)]})
    few = split(frame.iloc[:500], KEYED, window=days(30), holdout=days(10), gap=days(1))
    many = split(frame, KEYED, window=days(30), holdout=days(10), gap=days(1))

    assert set(few.holdout["id"]) < set(many.holdout["id"])
    assert set(many.holdout["id"]).isdisjoint(many.train["id"])
    assert len(many.holdout) + len(many.train) == 1000
    assert 200 < len(many.holdout) < 300  # a quarter: 10 of 40 days


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(EmptyWindowError, match="1 rows are too few"):
        split(
            pd.DataFrame({"x": [1.0], "y": [True], "id": ["a"]}),
            KEYED,
            window=days(30),
            holdout=days(10),
            gap=days(1),
        )
