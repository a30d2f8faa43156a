"""Of a column of text it is found how its numbers are written, where they can be read in one way only."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from mlops import column_formats
from mlops.column_formats import Finding, NumberFormat
from mlops.tables.text_values import TextValues

THIN, NARROW, HARD = "\u2009", "\u202f", "\u00a0"


def detected(separator: str | None = ",", /, **columns: Sequence[str]) -> dict[str, Finding]:
    texts = TextValues(separator)
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    texts.take(frame)
    return {finding.column: finding for finding in column_formats.detect(texts.columns())}


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["302.38", "1,097.54", "46"], [302.38, 1097.54, 46]),
        (["1.706", "41,91"], [1706, 41.91]),
        (["1.234.567", "89"], [1234567, 89]),
        (
            ["1 555,20", f"26{NARROW}196,00", f"3{HARD}000,5", f"9{THIN}999,1"],
            [1555.2, 26196, 3000.5, 9999.1],
        ),
        (["1'200.50", "1\u2019300"], [1200.5, 1300]),
        (["0,25", "1,706"], [0.25, 1.706]),
        (["12,34,567", "1,23,456", "1,000"], [1234567, 123456, 1000]),
        (["$1,200", "-$900", "$0.50"], [1200, -900, 0.5]),
        (["€ 1.200,50", "€ 13,00"], [1200.5, 13]),
        (["12 kr", "1.200 kr", "0,5 kr"], [12, 1200, 0.5]),
        (["CHF 1'200.50", "CHF 13.00"], [1200.5, 13]),
        (["45%", "0%", "12.5 %"], [45, 0, 12.5]),
        (["3504 lb", "12 lb"], [3504, 12]),
        (["(383.03)", "12", "$1,000.00"], [-383.03, 12, 1000]),
        (["1,250.00-", "12-", "13"], [-1250, -12, 13]),
        (["\u221212", "+13", "14"], [-12, 13, 14]),
        ([f"12{HARD}", "1,300"], [12, 1300]),
    ],
)
def test_numbers_are_read_where_there_is_one_way(values: list[str], numbers: list[float]) -> None:
    finding = detected(it=values)["it"]
    assert isinstance(finding.format, NumberFormat)
    assert finding.format.read(pd.Series(values, dtype=object)).tolist() == numbers
    assert finding.example in values
    assert finding.example in finding.sentence


@pytest.mark.parametrize(
    "values",
    [
        ["12", "-3.5", "1e5"],
        ["red", "blue"],
        ["2013-01-03", "2013-01-04"],
        ["192.168.0.1", "10.0.0.12"],
        ["12E4", "1F3A", "77B2"],
        ["0x1F", "0x2A"],
        ["Room 12", "Room 7"],
        ["T-12", "T-7"],
        ["1_000", "2_500"],
        ["Infinity", "inf"],
        ["0123", "0456"],
        ["1,2,3", "4,5,6"],
        ["1,2345,678", "2,0000,000"],
        ["٣", "１２"],
    ],
)
def test_what_is_written_plainly_or_is_no_number_is_left_as_it_is(values: list[str]) -> None:
    assert not detected(it=values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["3504 lb", "1590 kg"], "several units"),
        (["45%", "0.45"], "without %"),
        (["12 A", "7 A"], "may be no unit"),
        (["555 123 456", "555 123 457"], "names"),
        (["12.5", "13.5", "3,5"], "another way"),
        (["1,706", "1706"], "may be 1.706 or 1706"),
        (["1.706", "262", "15"], "may be 1.706 or 1706"),
        (["(1)", "(2)"], "in parentheses"),
    ],
)
def test_where_it_is_not_certain_the_column_an_example_and_a_way_out_are_named(
    values: list[str], why: str
) -> None:
    finding = detected(it=values)["it"]
    assert finding.format is None
    assert why in finding.sentence
    assert finding.example in values
    assert "it: {" in finding.remedy or "in one way" in finding.remedy


ONLY_THREE = ["1,706", "2,045", "999"]


def test_a_comma_before_three_digits_separates_thousands_where_nothing_speaks_against_it() -> None:
    assert detected(it=ONLY_THREE)["it"].format == NumberFormat(",")


def test_it_is_not_guessed_in_a_file_whose_separator_leaves_the_comma_to_decimals() -> None:
    finding = detected(";", it=ONLY_THREE)["it"]
    assert finding.format is None
    assert finding.is_open
    assert '{it: {decimal: ","} or {thousands: ","}}' in finding.remedy


@pytest.mark.parametrize(
    ("other", "format"), [(["41,91"], NumberFormat("", ",")), (["41.91"], NumberFormat(",", "."))]
)
def test_another_column_of_the_file_tells_decimals_from_thousands(
    other: list[str], format: NumberFormat
) -> None:
    assert detected(";", it=ONLY_THREE, other=[*other, "1", "2"])["it"].format == format


def test_points_before_three_digits_are_thousands_beside_decimal_commas() -> None:
    found = detected(";", sales=["1.706", "262", "15"], profit=["41,91", "0,2", "3"])
    assert found["sales"].format == NumberFormat(".", ",")
    assert found["profit"].format == NumberFormat("", ",")


def test_a_file_of_both_kinds_tells_nothing() -> None:
    found = detected(";", sales=["1.706", "262", "15"], profit=["41,91", "2", "3"], loss=["1.5", "2", "3"])
    assert found["sales"].is_open


def test_words_for_what_is_missing_do_not_hide_how_the_numbers_are_written() -> None:
    assert detected(it=["1,200", "?", "900", "3,400.5"])["it"].format == NumberFormat(",")


def test_numbers_in_quotes_are_numbers_where_they_have_decimals_and_else_are_asked_about() -> None:
    found = detected(None, weight=["3504.5", "12"], count=["3504", "12"], zip=["01067", "10115"])
    assert found["weight"].format == NumberFormat()
    assert found["count"].format is None
    assert 'count: {decimal: "."}' in found["count"].remedy
    assert "zip" not in found


def test_a_point_before_three_digits_in_quotes_is_of_decimals_where_the_file_shows_such() -> None:
    found = detected(None, price=["20.620", "16.620"], outcome=["1,204.21", "612.02"], zip=["01067", "10115"])
    assert found["price"].format == NumberFormat()
    assert "zip" not in found
