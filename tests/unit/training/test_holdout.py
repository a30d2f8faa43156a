from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import EmptyWindowError
from mlops.schema import Schema
from mlops.training.holdout import folds, split

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
    assert parts.holdout["at"].max() == end
    assert parts.holdout_end == end + timedelta(microseconds=1)
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


def test_a_row_at_the_end_of_a_window_is_not_in_it() -> None:
    frame = hours(list(range(24 * 30)))
    parts = split(frame, TIMED, window=days(10), holdout=days(5), gap=days(1))
    for rows, start, end in (
        (parts.train, parts.train_start, parts.train_end),
        (parts.holdout, parts.holdout_start, parts.holdout_end),
    ):
        inside = frame[(frame["at"] >= start) & (frame["at"] < end)]
        assert list(rows["at"]) == list(inside["at"])
        assert start in set(rows["at"])
    at_its_end = START + pd.Timedelta(hours=24 * 30 - 1) - days(6)
    assert parts.train_end == at_its_end
    assert at_its_end in set(frame["at"])
    assert at_its_end not in set(parts.train["at"])


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


@given(st.lists(st.integers(0, 2000), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 5))
def test_folds_measure_on_newer_rows_each_once_behind_a_gap(offsets: list[int], count: int, gap: int) -> None:
    rows = hours(offsets)
    try:
        parts = folds(rows, TIMED, count=count, gap=days(gap))
    except EmptyWindowError:
        return

    assert len(parts) == count
    for fitted, measured in parts:
        assert measured["at"].min() - fitted["at"].max() > days(gap)
    for (fitted, _), (wider, _) in pairwise(parts):
        assert set(fitted.index) <= set(wider.index)
    measured_on = [row for _, measured in parts for row in measured.index]
    assert len(measured_on) == len(set(measured_on))
    assert rows.loc[measured_on, "at"].max() == rows["at"].max()


def test_without_time_a_row_is_measured_on_once_and_stays_in_its_fold() -> None:
    rows = pd.DataFrame({"x": 0.0, "y": True, "id": [f"r{i}" for i in range(300)]})
    parts = folds(rows, KEYED, count=3, gap=days(1))
    more = folds(pd.concat([rows, rows.assign(id=rows["id"] + "x")]), KEYED, count=3, gap=days(1))

    assert sorted(row for _, measured in parts for row in measured.index) == list(rows.index)
    for (fitted, measured), (_, grown) in zip(parts, more, strict=True):
        assert len(fitted) + len(measured) == 300
        assert 60 < len(measured) < 140
        assert set(measured["id"]) <= set(grown["id"])


def test_a_holdout_s_hash_does_not_decide_the_fold() -> None:
    rows = pd.DataFrame({"x": 0.0, "y": True, "id": [f"r{i}" for i in range(900)]})
    held = split(rows, KEYED, window=days(2), holdout=days(1), gap=days(0)).train

    assert all(len(measured) > 150 for _, measured in folds(held, KEYED, count=3, gap=days(0)))


def test_too_few_rows_for_folds_are_told() -> None:
    with pytest.raises(EmptyWindowError, match=r"too few, or lie too close in time, for 3 folds with 48 h"):
        folds(hours(list(range(20))), TIMED, count=3, gap=days(2))
