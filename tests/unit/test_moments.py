from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from mlops.errors import UsageError
from mlops.moments import after, last_before, parse_moment, to_times

NOON = datetime(2013, 7, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2013-07-04T12:00",
        "2013-07-04 12:00:00Z",
        "2013-07-04T14:00+02:00",
        datetime(2013, 7, 4, 12),
        datetime(2013, 7, 4, 14, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2013-07-04T12:00"),
    ],
)
def test_a_moment_without_a_zone_is_utc(value):
    moment = parse_moment(value)
    assert (moment, moment.tzinfo) == (NOON, UTC)


@pytest.mark.parametrize("value", ["2013-07-04", date(2013, 7, 4)])
def test_a_date_begins_at_midnight(value):
    assert parse_moment(value) == datetime(2013, 7, 4, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", "", 20130704, None, "0001-01-01T00:00+02:00"])
def test_what_is_no_time_is_refused_by_name(value):
    with pytest.raises(UsageError, match=r"is not a time\. Write it as 2013-04-01"):
        parse_moment(value)


def test_a_column_of_times_is_in_utc_and_what_is_none_is_missing() -> None:
    times = to_times(["2013-07-04T12:00", "2013-07-04T14:00+02:00", "noon"])
    assert list(times[:2]) == [NOON, NOON]
    assert times.isna().tolist() == [False, False, True]


def test_a_window_ends_just_after_its_last_row_and_is_called_by_that_rows_day() -> None:
    last = datetime(2013, 7, 4, 23, 59, 59, 999999, tzinfo=UTC)
    assert last < after(last)
    assert last_before(after(last)) == last
    assert f"{after(last):%m-%d}" == "07-05"  # what a person must not be shown
    assert f"{last_before(after(last)):%m-%d}" == "07-04"


@pytest.mark.parametrize("value", ["0001-01-01", "0999-12-31", "9999-12-31T23:59:59", datetime(9000, 1, 1)])
def test_a_moment_whose_windows_would_have_none_is_refused(value):
    with pytest.raises(UsageError, match=r"is too far away\. Name a time of the years 1000 to 8999"):
        parse_moment(value)
