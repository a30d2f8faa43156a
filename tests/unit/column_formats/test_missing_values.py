from __future__ import annotations

import pandas as pd
import pytest

from mlops.column_formats import MissingValues, detect_missing, without_missing
from mlops.rows import parse_rows
from mlops.schema import Schema
from mlops.tables.conform import conform, lenient, unlabelled
from mlops.tables.readers import as_typed
from mlops.tables.text_values import TextValues

NUMBERS = [str(n) for n in range(40)]
DAYS = [f"2013-01-{n:02}" for n in range(1, 31)]


def found(**columns: list[str]) -> dict[str, dict[str, int]]:
    values = TextValues()
    for name, column in columns.items():
        values.take(pd.DataFrame({name: column}, dtype=object))
    return detect_missing(values.columns())


@pytest.mark.parametrize(
    "word", ["?", "-", "--", ".", "nil", "(null)", "none", "na", "missing", "Unknown", "*", r"\N", "#DIV/0!"]
)
def test_a_word_among_numbers_stands_for_a_missing_value(word: str) -> None:
    assert found(hp=[*NUMBERS, word, word]) == {"hp": {word: 2}}
    assert found(hp=[*NUMBERS[:12], *[word] * 28]) == {"hp": {word: 28}}


def test_it_does_among_numbers_dates_and_booleans_however_written_and_among_names_it_is_one() -> None:
    assert found(day=[*DAYS, "?"], sales=["1,097.54", "2,100.00", "-"] * 9, wet=["true", "false", "nil"]) == {
        "day": {"?": 1},
        "sales": {"-": 9},
        "wet": {"nil": 1},
    }
    assert found(work=["Private", "?", "State"] * 9, mixed=["unknown"] * 30 + ["1", "2"]) == {}
    assert found(codes=["02134", "10001", "?"] * 9) == {}


def test_words_are_counted_without_what_pads_them_and_several_are_found() -> None:
    assert found(hp=[*NUMBERS, " ?", "?", "nil"]) == {"hp": {"?": 2, "nil": 1}}


def test_without_its_words_a_column_is_one_of_numbers() -> None:
    values = TextValues()
    values.take(pd.DataFrame({"hp": [*NUMBERS, "?", " ?"]}, dtype=object))
    left = without_missing(values.columns(), {"hp": ["?"]})["hp"]
    assert (left.rows, left.numbers, dict(left.values)) == (40, 40, {})


SCHEMA = Schema(
    {"hp": "number", "work": "category", "day": "date"},
    "mpg",
    "regression",
    missing={"hp": ["?", -999], "work": ["?", 9], "mpg": ["-"]},
)
TEXT = pd.DataFrame(
    {
        "hp": ["130", "?", " ? ", "-999", "-999.0"],
        "work": ["Private", "?", " ?", "9", "State"],
        "day": ["2013-01-01"] * 5,
        "mpg": ["18", "-", "20", "21", "22"],
    },
    dtype=object,
)


def test_what_is_named_is_missing_in_a_table_of_text_and_in_a_typed_one() -> None:
    read = conform(as_typed(TEXT, SCHEMA), SCHEMA)
    assert read["hp"].isna().tolist() == [False, True, True, True, True]
    assert read["work"].tolist() == ["Private", "", "", "", "State"]
    assert read["mpg"].isna().tolist() == [False, True, False, False, False]
    typed = pd.DataFrame(
        {"hp": [130, -999], "work": ["?", "Private"], "day": ["2013-01-01"] * 2, "mpg": [1, 2]}
    )
    assert lenient(typed, SCHEMA)["hp"].isna().tolist() == [False, True]
    rows = unlabelled(typed, SCHEMA)
    assert rows.served[1]["hp"] is None
    assert rows.served[0]["work"] is None


def test_rows_of_the_lake_are_read_by_what_params_say_today() -> None:
    before = Schema(SCHEMA.features, "mpg", "regression")
    stored = conform(
        pd.DataFrame(
            {"hp": [130.0, -999.0], "work": ["?", "a"], "day": ["2013-01-01"] * 2, "mpg": [1.0, 2.0]}
        ),
        before,
    )
    assert stored["hp"].tolist() == [130.0, -999.0]
    assert conform(stored, SCHEMA)["hp"].isna().tolist() == [False, True]
    assert conform(stored, SCHEMA)["work"].tolist() == ["", "a"]


def test_a_request_is_read_as_a_table_is_and_stays_strict() -> None:
    record = {"hp": -999, "work": "?", "day": None}
    columns = parse_rows([record], SCHEMA)
    assert pd.isna(columns["hp"]).all()
    assert columns["work"].tolist() == [""]
    with pytest.raises(Exception, match="hp"):
        parse_rows([{**record, "hp": "?"}], SCHEMA)


@pytest.mark.parametrize(
    ("value", "stands"),
    [("?", True), (" ? ", True), (-999, True), (-999.0, True), ("-999", True), (True, False), (1, False)],
)
def test_one_value_may_stand_for_a_missing_one(value: object, stands: bool) -> None:
    assert MissingValues(("?", -999)).hold(value) is stands
    assert not MissingValues((1.0,)).hold(True)
