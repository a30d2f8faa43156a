from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.params import TrainParams
from mlops.errors import EmptyWindowError
from mlops.training.cross_validation import folds
from mlops.training.plan import plan
from tests.hourly import KEYED, TIMED, days, hours


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


def test_the_hash_that_holds_out_does_not_decide_the_fold() -> None:
    rows = pd.DataFrame({"x": 0.0, "y": True, "id": [f"r{i}" for i in range(900)]})
    rule = TrainParams(window=days(2), holdout=days(1))
    held = plan(rows, KEYED, rule).before

    assert all(len(measured) > 150 for _, measured in folds(held, KEYED, count=3, gap=days(0)))


def test_too_few_rows_for_folds_are_told() -> None:
    with pytest.raises(EmptyWindowError, match=r"too few, or lie too close in time, for 3 folds with 48 h"):
        folds(hours(list(range(20))), TIMED, count=3, gap=days(2))
