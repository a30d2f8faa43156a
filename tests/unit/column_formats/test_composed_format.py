"""A moment whose parts stand in several columns."""

from typing import Any

import pandas as pd
import pytest

from mlops import column_formats
from mlops.column_formats import ComposedFormat

TABLE = pd.DataFrame(
    {
        "year": [2013, 2013, 2012],
        "month": [1, 12, 2],
        "day": [3, 31, 29],
        "hour": [15, 0, 23],
        "minute": [5, 59, 0],
        "date": ["2013-01-03", "2013-12-31", "2012-02-29"],
        "at": ["3:05 PM", "12:59 AM", "11:00 PM"],
    }
)
MOMENTS = [
    pd.Timestamp(text, tz="UTC") for text in ("2013-01-03 15:05", "2013-12-31 00:59", "2012-02-29 23:00")
]


@pytest.mark.parametrize("as_type", ["int64", "float64", "str"])
def test_the_parts_make_the_moment_of_whatever_type_they_are(as_type: str) -> None:
    parts = ["year", "month", "day", "hour", "minute"]
    table = TABLE.astype(dict.fromkeys(parts, as_type))
    assert ComposedFormat(tuple(parts)).compose(table).tolist() == MOMENTS
    assert ComposedFormat(("year", "month")).compose(table).dt.day.tolist() == [1, 1, 1]


def test_a_date_and_a_time_of_day_are_read_by_their_pattern() -> None:
    format = ComposedFormat(("date", "at"), "%Y-%m-%d %I:%M %p")
    assert format.compose(TABLE).tolist() == MOMENTS
    assert column_formats.of_params(format.to_params()) == format


def test_parts_that_are_no_day_stay_text_to_be_refused_by_their_row() -> None:
    table = TABLE.assign(day=[3, 32, None], year=[2013, 2013, None], month=[1, 1, None])
    composed = ComposedFormat(("year", "month", "day")).compose(table)
    assert composed.iloc[0] == pd.Timestamp("2013-01-03", tz="UTC")
    assert composed.iloc[1] == "2013 1 32"
    assert pd.isna(composed.iloc[2])
    halves = ComposedFormat(("year", "month", "day")).compose(TABLE.assign(day=[3.5, 1, 1]))
    assert halves.iloc[0] == "2013 1 3.5"


@pytest.mark.parametrize(
    "value",
    [
        {"columns": ["year"]},
        {"columns": "year"},
        {"columns": ["year", "year"]},
        {"columns": ["a", "b"], "pattern": "%H:%M"},
        {"columns": list("abcdefg")},
    ],
)
def test_columns_that_make_no_moment_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"columns|pattern"):
        column_formats.of_params(value)
