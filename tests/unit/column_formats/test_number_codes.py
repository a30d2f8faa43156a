"""Codes that could be read as numbers are text where they show it, and asked about where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from mlops import column_formats
from mlops.column_formats import Finding
from mlops.errors import DataError
from mlops.scaffold.profile import profile_table
from mlops.scaffold.profile_options import ProfileOptions
from mlops.tables.text_values import TextValues

PLAIN = [str(number) for number in range(1000, 1400)]
MIXED = [str(number) for number in range(400)]


def found(values: Sequence[str]) -> Finding | None:
    texts = TextValues()
    for start in range(0, len(values), 150):
        texts.take(pd.DataFrame({"sku": list(values[start : start + 150])}))
    return next(iter(column_formats.find_codes(texts.columns())), None)


@pytest.mark.parametrize(
    "values",
    [
        ["12E4", "1234", "77E2"],
        [*PLAIN, "12E4"],
        [*MIXED, "12E4", "7"],
        ["1E5", "077", "100"],
        [*PLAIN, "0012"],
        [*PLAIN, "1e15", "0e44"],
    ],
)
def test_codes_are_text_where_an_exponent_or_their_length_shows_it(values: list[str]) -> None:
    finding = found(values)
    assert finding is not None
    assert finding.is_code
    assert finding.example in values
    assert finding.example in finding.sentence


@pytest.mark.parametrize(
    "values",
    [
        [*PLAIN, "1e-05"],
        [*PLAIN, "1.2E+3"],
        [*PLAIN, "12E4", "3.5"],
        [*PLAIN, "1e+05"],
        [*MIXED, "-7", "12E4", "007"],
        [*PLAIN, "12.5", "0012"],
        PLAIN,
        MIXED,
        ["0", "0", "7"],
    ],
)
def test_numbers_stay_numbers_where_a_point_or_a_sign_shows_it(values: list[str]) -> None:
    assert found(values) is None


@pytest.mark.parametrize(("values", "example"), [([*MIXED, "1E5"], "1E5"), ([*MIXED, "47E3"], "47E3")])
def test_an_exponent_that_an_engineer_may_have_written_is_asked_about(
    values: list[str], example: str
) -> None:
    finding = found(values)
    assert finding is not None
    assert finding.is_open
    assert f"{example} may be {float(example):.15g} or a code" in finding.sentence
    assert '{sku: {decimal: "."} or {strip: true}}' in finding.remedy


def test_few_zeros_before_numbers_of_any_length_are_named() -> None:
    finding = found([*MIXED, "00123"])
    assert finding is not None
    assert not finding.is_open
    assert "1 value, as 00123, would lose the zeros" in finding.sentence
    assert "sku: {strip: true}" in finding.remedy


def table(codes: list[str]) -> pd.DataFrame:
    rows = len(codes)
    values = {"sku": codes, "size": ["1.5", "2.5"] * (rows // 2), "y": ["no", "yes"] * (rows // 2)}
    return pd.DataFrame(values, dtype="str")


def test_a_profile_has_codes_as_a_category_and_says_so() -> None:
    profile = profile_table(table([*PLAIN[:99], "12E4"] * 4), ProfileOptions("y"))
    assert profile.schema().features == {"sku": "category", "size": "number"}
    assert any("sku holds codes, as 12E4" in sentence for sentence in profile.decided)


@pytest.mark.parametrize(("written", "type"), [({"decimal": "."}, "number"), ({"strip": True}, "category")])
def test_what_is_asked_about_is_read_as_a_person_says(written: dict[str, object], type: str) -> None:
    codes = table([*MIXED[:99], "1E5"] * 4)
    with pytest.raises(DataError, match="1E5 may be 100000 or a code"):
        profile_table(codes, ProfileOptions("y"))
    named = {"sku": column_formats.of_params(written)}
    assert profile_table(codes, ProfileOptions("y", formats=named)).schema().features["sku"] == type


def test_of_more_values_than_are_kept_the_shapes_of_all_are_seen() -> None:
    texts = TextValues()
    days = [f"{day:05d} days" for day in range(30_000)]
    texts.take(pd.DataFrame({"sku": [*days, "12 weeks", *days[:5]]}, dtype="str"))
    column = texts.columns()["sku"]
    assert (column.values["12 weeks"], column.values[days[0]]) == (1, 2)
    assert not column.is_whole
