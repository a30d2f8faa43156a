from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mlops.errors import DataError, MissingColumnError
from mlops.rows import parse_rows
from mlops.schema import Schema
from mlops.tables.conform import columns_of, conform, inputs_for, lenient, records, unlabelled
from mlops.task_types.label_reading import read_labels
from tests.unit.conftest import SCHEMA


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("size", ["1", "2", "0.3"], "size holds '1' in row 0, which is not a number"),
        ("size", [1.0, np.inf, 3.0], "size holds .*inf.* in row 1, which is not a finite number"),
        ("size", [True, False, True], "size holds .*True.* in row 0"),
        ("colour", [True, False, True], "colour holds .*True.* in row 0, which is not text"),
        ("wet", [True, "no", None], "wet holds 'no' in row 1, which is not true or false"),
        ("picked", ["2013-01-01T00:00:00Z", "soon", None], "picked holds 'soon' in row 1"),
        ("picked", [1, 2, 3], "picked holds .*1.* in row 0"),
        ("plum", ["a", None, "b"], "plum holds .* in row 1, which is not a key"),
        ("ripe", ["yes", True, None], "ripe holds labels of the types bool, str"),
        ("ripe", [0.5, 1.0, None], "ripe holds 0.5 in row 0, which is not a label"),
    ],
)
def test_the_column_and_the_first_bad_value_are_named(
    table: pd.DataFrame, column: str, values: list[object], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        conform(table.assign(**{column: values}), SCHEMA)


def test_missing_columns_are_named_with_what_there_is(table: pd.DataFrame) -> None:
    with pytest.raises(MissingColumnError, match="no column size, ripe; it has plum, picked"):
        conform(table.drop(columns=["size", "ripe"]), SCHEMA)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ([1.0, np.nan, 0.0], [1, None, 0]),
        ([1, 0, 1], [1, 0, 1]),
        ([True, None, False], [True, None, False]),
        (["yes", None, "no"], ["yes", None, "no"]),
        ([None, None], [None, None]),
        ([Decimal(1), None, Decimal("0.0")], [1, None, 0]),
        (["yes", " ", "no"], ["yes", None, "no"]),
    ],
)
def test_a_label_is_the_same_however_the_file_spelled_it(given: list[object], plain: list[object]) -> None:
    read = read_labels(pd.Series(given, name="ripe")).tolist()

    assert read == plain
    assert [type(value) for value in read] == [type(value) for value in plain]


def test_a_code_is_the_same_category_beside_an_empty_cell() -> None:
    schema = Schema({"code": "category"}, "y", "regression")
    frame = conform(pd.DataFrame({"code": [7.0, np.nan], "y": [1, 2]}), schema)

    assert frame["code"].tolist() == ["7", ""]


def test_nothing_but_spaces_is_missing_where_a_column_holds_no_words() -> None:
    schema = Schema({"n": "number", "b": "boolean", "d": "date", "c": "category"}, "y", "regression", key="k")
    rows = {"n": [" ", 1], "b": ["", True], "d": ["  ", "2026-01-02"], "c": [" ", "x"], "y": [2, "\t"]}
    frame = conform(pd.DataFrame({**rows, "k": ["a", "b"]}), schema)
    assert frame[["n", "b", "d"]].isna().to_numpy().tolist() == [[True] * 3, [False] * 3]
    assert (frame["c"].iloc[0], frame["y"].isna().tolist()) == (" ", [False, True])
    with pytest.raises(DataError, match="k holds ' ' in row 1, which is not a key"):
        conform(pd.DataFrame({**rows, "k": ["a", " "]}), schema)


def test_rows_are_seen_as_a_model_of_before_a_correction_sees_them() -> None:
    now = Schema({"zip": "number", "size": "category", "due": "date"}, "y", "binary", key="k")
    rows = conform(
        pd.DataFrame(
            {"zip": [7, None], "size": ["1.5", "none"], "due": "2026-01-02", "y": [0, 1], "k": ["a", "b"]}
        ),
        now,
    )
    then = Schema({"size": "number", "zip": "category", "due": "number"}, "y", "binary", key="gone")
    inputs = inputs_for(then, rows)
    assert list(inputs) == ["size", "zip", "due"]
    assert inputs["zip"].tolist() == ["7", ""]
    np.testing.assert_array_equal(inputs["size"], [1.5, np.nan])
    assert np.isnan(inputs["due"]).all()
    with pytest.raises(MissingColumnError, match="no column heat"):
        inputs_for(Schema({"heat": "number"}, "y", "binary"), rows)


def test_records_are_what_a_request_holds(table: pd.DataFrame) -> None:
    frame = conform(table, SCHEMA)
    rows = records(frame, SCHEMA)
    parsed = parse_rows(rows, SCHEMA)

    assert rows[1] == {"size": 2.0, "colour": None, "wet": None}
    for name, column in columns_of(frame, SCHEMA).items():
        np.testing.assert_array_equal(parsed[name], column)


def test_rows_without_a_label_are_read_as_the_lake_reads_them(table: pd.DataFrame) -> None:
    rows = unlabelled(table.drop(columns="ripe"), SCHEMA)
    known = conform(table, SCHEMA)
    for name, column in columns_of(known, SCHEMA).items():
        np.testing.assert_array_equal(rows.columns[name], column)
    assert rows.served == records(known, SCHEMA)
    assert rows.keys == ["3", "1", "2"]
    assert rows.times == [time.isoformat() for time in known["picked"]]


def test_rows_may_lack_a_key_and_a_time(table: pd.DataFrame) -> None:
    rows = unlabelled(table.assign(plum=["a", None, ""], picked=["2013-02-01", None, None]), SCHEMA)
    assert rows.keys == ["a", None, None]
    assert rows.times == ["2013-02-01T00:00:00+00:00", None, None]
    rows = unlabelled(table.drop(columns=["plum", "picked"]), SCHEMA)
    assert (rows.keys, rows.times) == ([None] * 3, [None] * 3)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("size", "many", "size holds 'many' in row 101, which is not a number"),
        ("wet", "yes", "wet holds 'yes' in row 101"),
        ("colour", True, "colour holds True in row 101"),
        ("picked", "noon", "picked holds 'noon' in row 101"),
    ],
)
def test_what_cannot_be_predicted_is_named_by_the_row_of_the_file(
    table: pd.DataFrame, column: str, value: object, said: str
) -> None:
    part = table.astype(object).set_index(pd.RangeIndex(100, 103))
    part.loc[101, column] = value
    if column == "colour":
        part[column] = [None, True, None]
    with pytest.raises(DataError, match=said):
        unlabelled(part, SCHEMA)


def test_a_frames_dates_reach_the_model_as_a_requests_do() -> None:
    schema = Schema({"due": "date", "note": "text"}, "late", "binary", time="at")
    table = pd.DataFrame(
        {
            "due": ["2024-02-29T18:30:00+02:00", None],
            "note": ["by mail", None],
            "at": "2024-03-01",
            "late": True,
        }
    )
    frame = conform(table, schema)
    assert conform(frame, schema).equals(frame)
    ours, theirs = columns_of(frame, schema), parse_rows(records(frame, schema), schema)
    assert list(ours) == list(schema.inputs)
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])


def test_a_date_that_does_not_parse_is_named_with_its_row() -> None:
    schema = Schema({"due": "date"}, "late", "binary")
    with pytest.raises(DataError, match=r"due holds '29\.2\.2024' in row 1"):
        conform(pd.DataFrame({"due": ["2024-02-28", "29.2.2024"], "late": True}), schema)


def test_a_value_that_cannot_be_used_can_be_taken_for_missing(table: pd.DataFrame) -> None:
    odd = table.assign(size=[1, "two", float("inf")], picked=["2013-02-01", "soon", None], plum=[None, 1, 2])
    frame = lenient(odd, SCHEMA)
    assert frame["size"].tolist()[0] == 1.0
    assert frame["size"].isna().tolist() == [False, True, True]
    assert frame["picked"].isna().tolist() == [False, True, True]
    assert frame["plum"].isna().tolist() == [True, False, False]
    pd.testing.assert_frame_equal(lenient(table, SCHEMA), conform(table, SCHEMA))
    with pytest.raises(MissingColumnError):
        lenient(table[["plum"]], SCHEMA)
