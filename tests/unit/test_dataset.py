from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.dataset import Lake, columns_of, conform, labels, records
from mlops.errors import DataError, MissingColumnError
from mlops.schema import Schema, parse_rows

SCHEMA = Schema(
    features={"size": "number", "colour": "category", "wet": "boolean"},
    target="ripe",
    task="binary",
    time="picked",
    key="plum",
)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plum": [3, 1, 2],
            "picked": ["2013-02-01T00:00:00Z", "2013-01-05T10:00:00Z", "2013-01-05T09:00:00+01:00"],
            "size": [1, 2, 3],
            "colour": ["red", None, "blue"],
            "wet": [True, None, False],
            "ripe": [True, None, False],
            "note": "kept out",
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def files(lake: Lake) -> list[str]:
    return sorted(path.relative_to(lake.path).as_posix() for path in lake.path.rglob("*") if path.is_file())


def test_rows_are_read_as_the_model_sees_them(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    frame = lake.read(SCHEMA)

    assert frame.columns.tolist() == ["size", "colour", "wet", "ripe", "picked", "plum"]
    assert frame["plum"].tolist() == ["2", "1", "3"]  # in order of time
    assert frame["colour"].tolist() == ["blue", "", "red"]
    assert frame["ripe"].tolist() == [False, None, True]
    np.testing.assert_array_equal(frame["wet"], [0.0, np.nan, 1.0])
    assert frame["size"].dtype == np.float64
    assert frame["picked"].iloc[0] == pd.Timestamp("2013-01-05T08:00:00Z")


def test_an_append_writes_a_file_a_month(lake: Lake, table: pd.DataFrame) -> None:
    added = lake.append(table, SCHEMA)

    assert added.rows == 3
    assert [name[:15] for name in added.files] == ["2013-01/000001-", "2013-02/000001-"]
    assert files(lake) == sorted(added.files)
    assert [path.name for path in lake.path.parent.iterdir()] == ["lake"]


def test_the_same_batch_again_adds_nothing_in_whatever_order_its_rows_come(
    lake: Lake, table: pd.DataFrame
) -> None:
    lake.append(table, SCHEMA)
    before = files(lake)
    again = lake.append(table.iloc[::-1], SCHEMA)

    assert (again.rows, again.files, again.skipped) == (0, (), 3)
    assert files(lake) == before


def test_an_append_never_rewrites_and_the_later_batch_wins(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    before = {name: (lake.path / name).read_bytes() for name in files(lake)}
    corrected = table[table["plum"] == 1].assign(ripe=True, size=20)
    added = lake.append(corrected, SCHEMA)
    frame = lake.read(SCHEMA).set_index("plum")

    assert added.files[0].startswith("2013-01/000002-")
    assert all((lake.path / name).read_bytes() == data for name, data in before.items())
    assert len(frame) == 3
    assert frame.loc["1", "ripe"] is True
    assert frame.loc["1", "size"] == 20


def test_a_window_is_half_open(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    january = lake.read(SCHEMA, datetime(2013, 1, 5, 8, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))

    assert january["plum"].tolist() == ["2", "1"]
    assert lake.read(SCHEMA, start=datetime(2013, 2, 1, tzinfo=UTC))["plum"].tolist() == ["3"]


def test_a_lake_without_time_or_key_holds_one_folder(lake: Lake, table: pd.DataFrame) -> None:
    schema = Schema({"size": "number"}, "ripe", "binary")
    added = lake.append(table, schema)

    assert added.files[0].startswith("all/000001-")
    assert lake.append(table, schema).skipped == 3
    assert lake.read(schema)["size"].tolist() == [1.0, 2.0, 3.0]


def test_an_empty_lake_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(DataError, match="mlops ingest"):
        lake.read(SCHEMA)


def test_a_partition_without_a_new_feature_is_named(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    wider = Schema({**SCHEMA.features, "weight": "number"}, "ripe", "binary", "picked", "plum")

    with pytest.raises(MissingColumnError, match=r"000001-.*\.parquet has no column weight"):
        lake.read(wider)


def test_a_damaged_partition_is_named(lake: Lake, table: pd.DataFrame) -> None:
    name = lake.append(table, SCHEMA).files[0]
    (lake.path / name).write_bytes(b"PAR1")

    with pytest.raises(DataError, match=f"{name} cannot be read"):
        lake.read(SCHEMA)


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
    ],
)
def test_a_label_is_the_same_however_the_file_spelled_it(given: list[object], plain: list[object]) -> None:
    read = labels(pd.Series(given, name="ripe"), "binary").tolist()

    assert read == plain
    assert [type(value) for value in read] == [type(value) for value in plain]


def test_a_code_is_the_same_category_beside_an_empty_cell() -> None:
    schema = Schema({"code": "category"}, "y", "regression")
    frame = conform(pd.DataFrame({"code": [7.0, np.nan], "y": [1, 2]}), schema)

    assert frame["code"].tolist() == ["7", ""]


def test_records_are_what_a_request_holds(table: pd.DataFrame) -> None:
    frame = conform(table, SCHEMA)
    rows = records(frame, SCHEMA)
    parsed = parse_rows(rows, SCHEMA)

    assert rows[1] == {"size": 2.0, "colour": None, "wet": None}
    for name, column in columns_of(frame, SCHEMA).items():
        np.testing.assert_array_equal(parsed[name], column)
