from __future__ import annotations

import pandas as pd

from mlops.data.constant_columns import ConstantColumns, constants_of


def test_a_column_of_one_value_or_none_is_constant() -> None:
    frame = pd.DataFrame(
        {"country": ["DE", "DE ", None], "note": [None, "", " "], "fee": [7, 7.0, 7], "x": [1, 2, 3]}
    )
    assert constants_of(frame, frame.columns) == {"country": "DE", "fee": "7", "note": None}


def test_a_constant_column_that_begins_to_vary_is_named_with_its_values_and_what_to_write() -> None:
    watched = ConstantColumns({"country": "DE", "fee": 7, "note": None})
    watched.take(pd.DataFrame({"country": ["DE", "FR"], "fee": ["7", "7.0"], "note": [None, None]}))
    watched.take(pd.DataFrame({"country": ["FR", "IT"], "fee": [7.0, 8.5], "note": ["", "x"]}))
    country, fee, note = watched.notes()
    assert country == (
        "country was DE in every row when the project began, and varies now: FR, IT in 3 of 4 rows. To use "
        "it, write `country: category` in data.features of params.yaml; to go on without, take it out of "
        "`constant` in contract.yaml"
    )
    assert "fee was 7 in every row when the project began, and varies now: 8.5 in 1 of 4 rows" in fee
    assert "`fee: number`" in fee
    assert "note held no value when the project began, and varies now: x in 1 of 4 rows" in note


def test_a_column_that_stays_as_it_was_or_is_not_there_is_not_named() -> None:
    watched = ConstantColumns({"country": "DE", "note": None, "gone": "x"})
    watched.take(pd.DataFrame({"country": ["DE"] * 3, "note": [None, "", " "]}))
    assert watched.notes() == []


def test_a_constant_that_is_missing_in_some_rows_varies() -> None:
    watched = ConstantColumns({"country": "DE"})
    watched.take(pd.DataFrame({"country": ["DE", None]}))
    assert "varies now: missing in 1 of 2 rows" in watched.notes()[0]
