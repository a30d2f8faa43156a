"""A row's time that a table spreads over columns is found, or named."""

import pandas as pd
import pytest

from mlops.column_formats import ComposedFormat
from mlops.scaffold.spread_time import spread_time

MOMENTS = pd.Series(pd.date_range("2013-01-03 15:05", periods=120, freq="7h"))
PARTS = ("year", "month", "day", "hour", "minute")


def table(**names: str) -> pd.DataFrame:
    """A column for each name, with that part of the moments."""
    return pd.DataFrame({name: getattr(MOMENTS.dt, part) for name, part in names.items()}).assign(size=1.5)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        ({"year": "year", "month": "month", "day": "day"}, ["year", "month", "day"]),
        ({name: name for name in PARTS}, list(PARTS)),
        ({"hr": "hour", "Day": "day", "mnth": "month", "yr": "year"}, ["yr", "mnth", "Day", "hr"]),
        ({"dep_year": "year", "dep_month": "month", "dep_day": "day"}, ["dep_year", "dep_month", "dep_day"]),
        ({"SaleYear": "year", "SaleMonth": "month", "SaleDay": "day"}, ["SaleYear", "SaleMonth", "SaleDay"]),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_year_month_and_day_are_the_time(names: dict[str, str], columns: list[str], as_text: bool) -> None:
    rows = table(**names)
    found = spread_time(rows.astype(str) if as_text else rows)
    assert found is not None
    assert (found.name, found.format) == ("time", ComposedFormat(tuple(columns)))
    assert all(column in found.sentence for column in columns)


def test_a_month_may_have_its_name() -> None:
    rows = table(year="year", month="month", day="day").assign(month=MOMENTS.dt.strftime("%B"))
    found = spread_time(rows)
    assert found is not None
    assert found.format == ComposedFormat(("year", "month", "day"), "%Y %b %d")


def test_hours_of_no_clock_are_no_part_of_the_time() -> None:
    rows = table(year="year", month="month", day="day").assign(hour=24)
    found = spread_time(rows)
    assert found is not None
    assert found.format == ComposedFormat(("year", "month", "day"))
    assert "hour is no part of it" in found.sentence


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (table(year="year", month="month"), ["year, month", "at random", "{columns: [year, month]}"]),
        (table(month="month", day="day"), ["month, day", "at random"]),
        (table(year="year", month="month", day="day").assign(day=31), ["year, month, day", "at random"]),
    ],
)
def test_what_looks_like_a_time_and_is_not_read_is_named(rows: pd.DataFrame, words: list[str]) -> None:
    found = spread_time(rows)
    assert found is not None
    assert found.format is None
    assert all(word in found.sentence for word in words)


@pytest.mark.parametrize(
    "rows",
    [
        table(birth_year="year", birth_month="month", birth_day="day"),
        table(year="year"),
        table(day="day", hour="hour"),
        table(temp_min="hour", temp_mo="month"),
        table(exp_year="year", exp_month="month"),
    ],
)
def test_other_times_are_not_the_rows_own(rows: pd.DataFrame) -> None:
    assert spread_time(rows) is None


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    found = spread_time(table(year="year", month="month", day="day").assign(time=1))
    assert found is not None
    assert found.name == "event_time"
    assert spread_time(table(year="year", month="month", day="day"), without=["year"]) is not None
