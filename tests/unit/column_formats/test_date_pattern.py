"""A pattern reads the dates that it says, and nothing else."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.column_formats.date_pattern import DatePattern


def read(pattern: str, *texts: str | None) -> list[str | None]:
    times = DatePattern(pattern).read(pa.array(list(texts), pa.string()))
    return [None if np.isnat(time) else str(time) for time in times]


@pytest.mark.parametrize(
    ("pattern", "text", "moment"),
    [
        ("%d-%b-%Y", "03-Jan-2013", "2013-01-03T00:00:00"),
        ("%d-%b-%Y", "3-SEPT-2013", "2013-09-03T00:00:00"),
        ("%B %d, %Y", "January 3rd, 2013", "2013-01-03T00:00:00"),
        ("%b %d, %Y", "Jan. 3, 2013", "2013-01-03T00:00:00"),
        ("%d/%m/%y", "03/01/13", "2013-01-03T00:00:00"),
        ("%d/%m/%y", "03/01/69", "1969-01-03T00:00:00"),
        ("%Y%m%d", "20130103", "2013-01-03T00:00:00"),
        ("%Y%m%d%H%M%S", "20130103150500", "2013-01-03T15:05:00"),
        ("%m/%d/%Y %I:%M %p", "1/3/2013 3:05\u202fp.m.", "2013-01-03T15:05:00"),
        ("%m/%d/%Y %I:%M %p", "1/3/2013 12:05 AM", "2013-01-03T00:05:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2013-01-03 15:05:00 UTC", "2013-01-03T15:05:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2013-01-03 15:05:00.25 GMT", "2013-01-03T15:05:00.25"),
        ("%Y-%m-%d %H:%M:%S%z", "2013-01-03 15:05:00+01", "2013-01-03T14:05:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2013-01-03 15:05:00 -0530", "2013-01-03T20:35:00"),
        ("%d/%b/%Y:%H:%M:%S %z", "03/Jan/2013:15:05:00 +0100", "2013-01-03T14:05:00"),
        ("%a %b %d %Y %H:%M:%S %z", "Thu Jan 03 2013 15:05:00 GMT+0100 (CET)", "2013-01-03T14:05:00"),
        ("%a %b %d %H:%M:%S %z %Y", "Thu Jan  3 15:05:00 UTC 2013", "2013-01-03T15:05:00"),
        ("%Y-%m-%d %H:%M:%S,%f", "2013-01-03 15:05:00,123", "2013-01-03T15:05:00.123"),
        ("%G-W%V-%u", "2020-W53-7", "2021-01-03T00:00:00"),
        ("%G-W%V", "2013-W01", "2012-12-31T00:00:00"),
        ("%Y-%j", "2012-366", "2012-12-31T00:00:00"),
        ("%Y-%m", "2013-02", "2013-02-01T00:00:00"),
        ("%d.%m.%Y", "31.12.9999", "9999-12-31T00:00:00"),
        ("%Y-%m-%d", "0001-01-01", "0001-01-01T00:00:00"),
        ("100%% %Y-%m-%d", "100% 2013-01-03", "2013-01-03T00:00:00"),
    ],
)
def test_a_date_is_read_by_its_pattern(pattern: str, text: str, moment: str) -> None:
    assert read(pattern, text, None) == [str(np.datetime64(moment, "us")), None]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d-%m-%Y", "31-02-2013"),
        ("%d-%m-%Y", "29-02-2013"),
        ("%d-%m-%Y", "00-01-2013"),
        ("%d-%m-%Y", "01-13-2013"),
        ("%d-%m-%Y", "01-01-2013 15:05"),
        ("%d-%m-%Y", "01/01/2013"),
        ("%Y-%m-%d", "0000-01-01"),
        ("%Y-%m-%d %H:%M", "2013-01-03 24:00"),
        ("%Y-%m-%d %H:%M:%S", "2013-01-03 15:05:60"),
        ("%Y-%m-%d %I:%M %p", "2013-01-03 13:05 PM"),
        ("%Y-%m-%d %H:%M %z", "2013-01-03 15:05 EST"),
        ("%Y-%m-%d %H:%M %z", "2013-01-03 15:05"),
        ("%Y%m%d", "2013113"),
        ("%G-W%V-%u", "2013-W53-1"),
        ("%Y-%j", "2013-366"),
        ("%d %b %Y", "3 Mai 2013"),
        ("%d %b %Y", ""),
    ],
)
def test_what_is_written_otherwise_or_is_no_day_is_not_read(pattern: str, text: str) -> None:
    assert read(pattern, text) == [None]


@pytest.mark.parametrize(
    "pattern", ["%Y", "%d-%m", "%Y-%m-%d %Q", "%d-%m-%d %Y", "%Y-%y-%m", "%H:%M", "day", "%G-%u"]
)
def test_a_pattern_that_names_no_day_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        DatePattern(pattern)


PATTERNS = (
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m.%d.%Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S",
    "%B %d, %Y %H:%M:%S", "%Y%m%dT%H%M%S", "%Y-%j %H:%M:%S", "%G-W%V-%u %H:%M:%S",
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=20),
    st.sampled_from(PATTERNS),
)
def test_what_strftime_writes_is_read_back(moments: list[datetime], pattern: str) -> None:
    moments = [moment.replace(microsecond=0, tzinfo=UTC) for moment in moments]
    expected = [str(np.datetime64(moment.replace(tzinfo=None), "us")) for moment in moments]
    assert read(pattern, *(moment.strftime(pattern) for moment in moments)) == expected
