"""Moments that are numbers: since 1970, as a spreadsheet has them, as digits of a date."""

import numpy as np
import pandas as pd
import pytest

from mlops import column_formats
from mlops.column_formats import DateFormat, EpochFormat, ExcelFormat, Finding

MOMENTS = pd.Series(pd.date_range("2013-01-03 15:05", periods=60, freq="37h", tz="UTC"))


def finding(numbers: pd.Series, name: str) -> Finding | None:
    found = column_formats.detect_numbers({name: numbers})
    return found[0] if found else None


def counted(unit: str) -> pd.Series:
    return MOMENTS.dt.tz_localize(None).astype(f"datetime64[{unit}]").astype("int64")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("as_text", [False, True])
def test_an_epoch_is_read_in_its_unit(unit: str, as_text: bool) -> None:
    numbers = counted(unit)
    found = finding(numbers, "created_at")
    assert found is not None
    assert found.format == EpochFormat(unit)
    assert "2013-01-03" in found.sentence
    read = found.format.read(numbers.astype(str) if as_text else numbers)
    assert (read == MOMENTS).all()
    assert column_formats.of_params(found.format.to_params()) == found.format


def test_an_epoch_keeps_its_fraction_and_its_gaps() -> None:
    read = EpochFormat("s").read(pd.Series([1357225500.25, np.nan, -1.0]))
    assert read.tolist()[::2] == [
        pd.Timestamp("2013-01-03 15:05:00.25Z"),
        pd.Timestamp("1969-12-31 23:59:59Z"),
    ]
    assert read.isna().tolist() == [False, True, False]


def test_an_epoch_beyond_the_calendar_stays_to_be_refused_by_its_row() -> None:
    read = EpochFormat("s").read(pd.Series([1357225500, 10**15]))
    assert read.tolist() == [pd.Timestamp("2013-01-03 15:05Z"), 10**15]


def test_numbers_that_may_be_an_epoch_are_named_and_not_read_where_the_name_does_not_say_so() -> None:
    found = finding(counted("s"), "revenue")
    assert found is not None
    assert found.format is None
    assert "{revenue: {epoch: s}}" in found.remedy


@pytest.mark.parametrize(
    "name", ["time", "timestamp", "event_ts", "created_at", "updatedAt", "date", "OrderTime"]
)
def test_the_name_is_evidence(name: str) -> None:
    found = finding(counted("ms"), name)
    assert found is not None
    assert found.format == EpochFormat("ms")


@pytest.mark.parametrize("name", ["response_time", "total_time", "time_elapsed", "status", "coat"])
def test_what_takes_its_time_is_no_moment(name: str) -> None:
    found = finding(counted("ms"), name)
    assert found is None or found.format is None


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (np.linspace(0, 5e9, 50), "time"),  # from zero on
        (np.linspace(1e8, 2e9, 50), "created_at"),
        (np.linspace(30_000, 54_000, 50), "salary"),
        (np.linspace(32_400, 54_000, 50), "time"),  # seconds of a day
        (np.arange(1, 50), "day"),
        (np.arange(1990, 2024), "year"),
        (np.arange(20_130_101, 20_130_401), "id"),  # 20130132 is no day
    ],
)
def test_measures_stay_numbers(values: np.ndarray, name: str) -> None:
    assert finding(pd.Series(values), name) is None


SERIAL = [(1, "1900-01-01"), (59, "1900-02-28"), (61, "1900-03-01"), (41277.628472222, "2013-01-03 15:05")]


@pytest.mark.parametrize(("serial", "day"), [*SERIAL, (2_958_465, "9999-12-31")])
def test_the_days_of_a_spreadsheet_are_those_that_it_shows(serial: float, day: str) -> None:
    assert ExcelFormat(1900).read(pd.Series([serial])).tolist() == [pd.Timestamp(day, tz="UTC")]
    assert ExcelFormat(1900).read(pd.Series([str(serial)])).tolist() == [pd.Timestamp(day, tz="UTC")]


def test_the_day_that_only_spreadsheets_have_is_none() -> None:
    assert ExcelFormat(1900).read(pd.Series([60, 41277, 0])).tolist() == [
        60, pd.Timestamp("2013-01-03", tz="UTC"), 0,
    ]  # fmt: skip
    assert ExcelFormat(1904).read(pd.Series([0])).tolist() == [pd.Timestamp("1904-01-01", tz="UTC")]


def test_days_of_a_spreadsheet_are_read_by_their_name_and_range() -> None:
    serial = pd.Series(np.arange(41_277, 41_377))
    found = finding(serial, "sold_on")
    assert found is not None
    assert found.format == ExcelFormat(1900)
    assert "2013-01-03 to 2013-04-12" in found.sentence
    assert finding(serial, "salary") is None
    odd = finding(pd.concat([serial, pd.Series([2_958_465])]), "sold_on")
    assert odd is not None
    assert (odd.format, "2958465" in odd.sentence) == (None, True)


@pytest.mark.parametrize(
    ("pattern", "name"), [("%Y%m%d", "sold"), ("%Y%m%d%H%M", "sold"), ("%Y%m%d%H%M%S", "sold")]
)
def test_digits_of_dates_are_read(pattern: str, name: str) -> None:
    numbers = MOMENTS.dt.strftime(pattern).astype("int64")
    found = finding(numbers, name)
    assert found is not None
    assert found.format == DateFormat((pattern,))
    assert found.format.reads_numbers
    days = MOMENTS if "%H" in pattern else MOMENTS.dt.floor("D")
    assert (found.format.read(numbers) == days).all()
    assert (found.format.read(numbers.astype("float64").astype(str)) == days).all()


def test_few_digits_of_dates_are_read_where_the_name_says_so() -> None:
    numbers = pd.Series([20130103, 20140101])
    assert finding(numbers, "code") is None
    found = finding(numbers, "order_date")
    assert found is not None
    assert found.format == DateFormat(("%Y%m%d",))


@pytest.mark.parametrize("value", [{"epoch": "h"}, {"excel": 1901}, {"epoch": "s", "excel": 1900}])
def test_a_count_of_nothing_known_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"epoch|excel"):
        column_formats.of_params(value)
