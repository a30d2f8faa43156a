from __future__ import annotations

import pandas as pd
import pytest

from mlops.column_formats import Finding, TextFormat, detect
from mlops.rows import parse_rows
from mlops.schema import Schema
from mlops.tables.conform import conform
from mlops.tables.readers import as_typed
from mlops.tables.text_values import TextValues


def finding(values: list[str]) -> Finding | None:
    texts = TextValues()
    texts.take(pd.DataFrame({"species": values}, dtype=object))
    return next(iter(detect(texts.columns())), None)


@pytest.mark.parametrize(
    ("values", "format"),
    [
        ([" a", " b", " c"], TextFormat(strip=True)),
        (["a ", "b", " c"], TextFormat(strip=True)),
        (["a", "b", "c"], None),
        ([" 1", " 2", " 3"], None),  # numbers are read whatever pads them
    ],
)
def test_padding_that_joins_no_two_values_is_the_files_writing(
    values: list[str], format: TextFormat | None
) -> None:
    it = finding(values * 9)
    assert (it and it.format) == format
    assert it is None or "spaces around its values" in it.sentence


@pytest.mark.parametrize(
    ("values", "sentence", "remedy"),
    [
        (
            ["a", "a ", "a", "b"],
            "'a' (18), 'a ' (9), which differ in spaces alone",
            "{species: {strip: true}}",
        ),
        (["a", "A", "a", "b"], "'a' (18), 'A' (9), which differ in case alone", "{species: {case: lower}}"),
        (["a", " A", "A"], "which differ in spaces alone", "{species: {strip: true, case: lower}}"),
    ],
)
def test_values_that_differ_in_space_or_case_alone_are_named_and_stay_apart(
    values: list[str], sentence: str, remedy: str
) -> None:
    it = finding(values * 9)
    assert it is not None
    assert it.format is None
    assert sentence in it.sentence
    assert remedy in it.remedy


def test_padding_goes_where_case_is_asked_about() -> None:
    it = finding([" a", " A", " b"] * 9)
    assert it is not None
    assert it.format == TextFormat(strip=True)
    assert "differ in case alone" in it.sentence
    assert "{strip: true, case: lower}" in it.remedy


def test_prose_is_not_compared() -> None:
    assert (
        finding([f"so many words here {n}" for n in range(60)] + ["SO many words here 1", " so on and on "])
        is None
    )


SCHEMA = Schema(
    {"species": "category", "size": "number"},
    "ripe",
    "binary",
    formats={"species": TextFormat(strip=True, case="lower"), "ripe": TextFormat(strip=True)},
)


def test_a_table_a_row_of_the_lake_and_a_request_are_read_alike() -> None:
    text = pd.DataFrame(
        {"species": [" Plum", "PLUM "], "size": ["1", "2"], "ripe": [" yes", "no"]}, dtype=object
    )
    read = conform(as_typed(text, SCHEMA), SCHEMA)
    assert read["species"].tolist() == ["plum", "plum"]
    assert read["ripe"].tolist() == ["yes", "no"]
    stored = conform(text.assign(size=[1.0, 2.0]), SCHEMA)
    assert stored["species"].tolist() == ["plum", "plum"]
    assert parse_rows([{"species": " Plum", "size": 1}], SCHEMA)["species"].tolist() == ["plum"]
    plain = Schema(SCHEMA.features, "ripe", "binary")
    assert parse_rows([{"species": " Plum", "size": 1}], plain)["species"].tolist() == [" Plum"]
