"""How a column writes dates is found where it is certain, and named where it is not."""

from collections.abc import Sequence

import pandas as pd
import pytest

from mlops import column_formats
from mlops.column_formats import ColumnText, DateFormat, Finding

DAYS = pd.Series(pd.date_range("2012-12-03 15:05", periods=120, freq="37h"))


def finding(values: Sequence[str], name: str = "sold_on") -> Finding | None:
    distinct = dict.fromkeys(values, 1)
    found = column_formats.detect({name: ColumnText(name, len(distinct), 0, 0, distinct)})
    return found[0] if found else None


def written(pattern: str) -> list[str]:
    return DAYS.dt.strftime(pattern).tolist()


def unpadded(pattern: str) -> list[str]:
    return DAYS.dt.strftime(pattern.replace("%", "%-")).tolist()


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        (written("%Y-%m-%d %H:%M:%S UTC"), "%Y-%m-%d %H:%M:%S %z"),
        (written("%Y-%m-%d %H:%M:%S GMT"), "%Y-%m-%d %H:%M:%S %z"),
        (unpadded("%d/%m/%Y"), "%d/%m/%Y"),
        (unpadded("%Y-%m-%d"), "%Y-%m-%d"),
        (unpadded("%Y/%m/%d"), "%Y/%m/%d"),
        (written("%m/%d/%Y %I:%M %p"), "%m/%d/%Y %I:%M %p"),
        (written("%d.%m.%Y"), "%d.%m.%Y"),
        (written("%d-%b-%Y"), "%d-%b-%Y"),
        (written("%d-%b-%y"), "%d-%b-%y"),
        (written("%d.%m.%y"), "%d.%m.%y"),
        (written("%B %d, %Y"), "%B %d, %Y"),
        (written("%A, %d %B %Y"), "%a, %d %B %Y"),
        (written("%Y-%m-%d %-I:%M %p"), "%Y-%m-%d %I:%M %p"),
        (written("%a, %d %b %Y %H:%M:%S GMT"), "%a, %d %b %Y %H:%M:%S %z"),
        (written("%a %b %d %H:%M:%S +0000 %Y"), "%a %b %d %H:%M:%S %z %Y"),
        (written("%Y%m%dT%H%M%SZ"), "%Y%m%dT%H%M%S%z"),
        (written("%G-W%V-%u"), "%G-W%V-%u"),
        (written("%d%b%Y:%H:%M:%S"), "%d%b%Y:%H:%M:%S"),
        (written("%Y年%-m月%-d日"), "%Y年%m月%d日"),
        (written("%Y:%m:%d %H:%M:%S"), "%Y:%m:%d %H:%M:%S"),
        (written("%Y-%m-%d-%H.%M.%S.000000"), "%Y-%m-%d-%H.%M.%S"),
        (written("%d.%m.%Y %H:%M:%S+00:00[Europe/London]"), "%d.%m.%Y %H:%M:%S%z"),
        ([f" {text}" for text in written("%Y-%m-%d")], "%Y-%m-%d"),
    ],
)
def test_dates_of_many_spellings_are_found_and_read(values: list[str], pattern: str) -> None:
    found = finding(values)
    assert found is not None
    assert found.format == DateFormat((pattern,))
    assert repr(values[0]) in found.sentence
    times = found.format.read(pd.Series(values))
    assert (times.dt.floor("D") == DAYS.dt.tz_localize("UTC").dt.floor("D")).all()


def test_several_spellings_of_a_column_are_read_where_they_cannot_contradict() -> None:
    found = finding(["2013-01-03", "03-Jan-2013", "1/25/2013", "1/25/2013 15:05"])
    assert found is not None
    assert found.format is not None
    assert set(found.format.to_params()) == {"%Y-%m-%d", "%d-%b-%Y", "%m/%d/%Y", "%m/%d/%Y %H:%M"}
    assert column_formats.of_params(found.format.to_params()) == found.format


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["01/02/2013", "03/04/2013"], ["'01/02/2013'", '"%d/%m/%Y" or "%m/%d/%Y"']),
        (["01/25/2013", "25/01/2013"], ["no one order", "01/25/2013", "25/01/2013"]),
        (["13.01.2013", "01/25/2013"], ["no one order", "13.01.2013", "01/25/2013"]),
        ([*written("%d/%m/%Y"), "31/02/2013"], ["'31/02/2013'"]),
        ([*written("%d/%m/%Y"), "soon"], ["'soon'", "%d/%m/%Y"]),
        (["12/31/45", "01/05/70"], ["century", "%m/%d/%y"]),
        (["3:05 PM", "11:15 AM"], ["times of day", "'3:05 PM'"]),
        (["15:05", "07:15:30"], ["times of day"]),
        (["2013-01-03 15:05:00 EST", "2013-07-03 15:05:00 EST"], ["zone EST"]),
        (["2013-01-03 15:05 Europe/Berlin"], ["zone Europe/Berlin"]),
        (["2013-01-03 15:05:00 UTC", "2013-01-03 15:05:00 PST"], ["zone PST"]),
        (["3 janvier 2013", "4 mars 2013"], ["English", "'3 janvier 2013'"]),
        (["3. März 2013", "4. April 2013"], ["English", "'3. März 2013'"]),
        (["2013-01", "2013-02"], ["%Y-%m"]),
        (["2013-003", "2013-365"], ["%Y-%j"]),
        (["2013-Q1", "2013-Q2"], ["quarters"]),
        (["Jan-13", "Feb-13"], ["%b-%y"]),
        (["Jan 3", "Feb 14"], ["without a year"]),
    ],
)
def test_what_looks_like_dates_and_is_not_certain_is_named(values: list[str], words: list[str]) -> None:
    found = finding(values)
    assert found is not None
    assert found.format is None
    for word in words:
        assert word in f"{found.sentence} {found.remedy}"


@pytest.mark.parametrize(
    "values",
    [
        ["2013-01-03", "2013-01-04"],
        ["2013-01-03T15:05:00Z", "2013-01-03 15:05:00+01"],
        ["hello", "you", "12 lbs"],
        ["12-34-5678", "99-99-1234"],
        ["1.2.3", "10.2.3"],
        ["192.168.0.1", "10.0.0.1"],
        ["A-12-2013", "B-12-2013"],
        [f"{n} {word}s 1995" for n in range(30) for word in ("monkey", "ape", "x" * (n + 3))],
        ["3504 red", "12 blue"],
        ["may", "june"],
    ],
)
def test_plain_dates_and_what_is_none_have_no_format(values: list[str]) -> None:
    assert finding(values) is None


def test_what_is_no_date_in_the_format_stays_to_be_refused_by_its_row() -> None:
    column = pd.Series(["03-Jan-2013", "31-Feb-2013", None, "2013-01-03", 7])
    read = DateFormat(("%d-%b-%Y",)).read(column)
    assert read.iloc[0] == pd.Timestamp("2013-01-03", tz="UTC")
    assert read.tolist()[1:] == ["31-Feb-2013", None, "2013-01-03", 7]


def test_the_ends_of_the_calendar_are_dates() -> None:
    read = DateFormat(("%d.%m.%Y",)).read(pd.Series(["31.12.9999", "01.01.0001"]))
    assert [moment.year for moment in read] == [9999, 1]


@pytest.mark.parametrize("value", ["day first", [], ["%d.%m.%Y", 3], "%Y"])
def test_a_format_that_is_no_pattern_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="pattern"):
        column_formats.of_params(value)
