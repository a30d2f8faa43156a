from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.errors import DataError, MlopsError, UsageError
from mlops.schema import Schema
from mlops.tables import readers
from mlops.tables.writers import Destination, check

SCHEMA = Schema({"size": "number", "colour": "category"}, "ripe", "binary", key="plum")


def written(path: Path, *frames: pd.DataFrame, types: pa.Schema | None = None) -> Path:
    out = Destination(path, types)
    try:
        for frame in frames:
            out.write(frame)
        out.close()
        out.publish()
    finally:
        out.discard()
    return path


def test_a_parquet_table_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "plum": pa.array([1, None, 2**62], pa.int64()),
            "size": pa.array([1, None, 3], pa.int8()),
            "colour": pa.array(["red", None, "blue"]).dictionary_encode(),
            "price": pa.array([Decimal("1.50"), None, Decimal("2.25")], pa.decimal128(10, 2)),
            "day": pa.array([dt.date(2013, 1, 1), None, None]),
            "at": pa.array([dt.datetime(2013, 1, 1, tzinfo=dt.UTC), None, None], pa.timestamp("ns", "UTC")),
            "tags": pa.array([["a"], [], None]),
            "ok": pa.array([True, None, False]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    frames = readers.read_batches(tmp_path / "in.parquet", SCHEMA, rows=2)
    types = readers.column_types(tmp_path / "in.parquet", SCHEMA)
    out = pq.read_table(written(tmp_path / "out.parquet", *frames, types=types))
    assert out.to_pylist() == table.to_pylist()
    assert out.schema.types == table.schema.types


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", "size,wet\n1,0\n2,1\n3,\n"),
        ("in.csv", "size,wet\n1,0.0\n2,1.0\n3,\n"),
        ("in.csv", "size,wet\n1,false\n2,1\n3,NA\n"),
        ("in.jsonl", '{"size":1,"wet":0}\n{"size":2,"wet":1}\n{"size":3,"wet":null}\n'),
    ],
)
@pytest.mark.parametrize("rows", [1, 9])
def test_a_truth_told_as_a_number_fits_its_column(tmp_path: Path, name: str, content: str, rows: int) -> None:
    path, schema = tmp_path / name, Schema({"size": "number", "wet": "boolean"}, "ripe", "binary")
    path.write_text(content)
    frames = readers.read_batches(path, schema, rows=rows)
    out = written(tmp_path / "out.parquet", *frames, types=readers.column_types(path, schema))
    assert pq.read_table(out)["wet"].to_pylist() == [False, True, None]


def test_what_cannot_be_seen_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    path.parent.mkdir()
    path.write_text("before")
    out = Destination(path)
    out.write(pd.DataFrame({"a": [1]}))
    out.close()
    assert path.read_text() == "before"
    # Another process publishes what this one has finished.
    Destination(path).publish()
    assert path.read_text() == "a\n1\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl"])
def test_what_is_discarded_leaves_nothing(tmp_path: Path, name: str) -> None:
    out = Destination(tmp_path / name)
    out.write(pd.DataFrame({"a": [1]}))
    out.discard()
    out.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_column_that_comes_late_is_refused_and_one_that_goes_is_empty(tmp_path: Path, name: str) -> None:
    first, second = pd.DataFrame({"a": [1], "b": ["x"]}), pd.DataFrame({"a": [2]}, index=[1])
    path = written(tmp_path / name, first, second)
    read = pd.read_csv(path) if name == "out.csv" else pd.read_parquet(path)
    assert read["b"].isna().tolist() == [False, True]
    with pytest.raises(DataError, match="column b begins after row 1"):
        written(tmp_path / name, second, first.set_index(pd.Index([1])))


def test_a_column_of_two_types_is_no_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)})
    with pytest.raises(DataError, match=r"one type .*column a"):
        written(tmp_path / "out.parquet", frame)
    assert written(tmp_path / "out.jsonl", frame).read_text() == '{"a":1}\n{"a":"x"}\n'


def test_json_lines_hold_times_and_nulls(tmp_path: Path) -> None:
    at = pd.Series([pd.Timestamp("2013-01-01", tz="UTC"), pd.NaT])
    path = written(tmp_path / "out.jsonl", pd.DataFrame({"at": at, "size": [1.5, None]}))
    assert path.read_text().splitlines() == [
        '{"at":"2013-01-01T00:00:00+00:00","size":1.5}',
        '{"at":null,"size":null}',
    ]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MlopsError, match=r"out\.csv cannot be written"):
        written(tmp_path / "file" / "out.csv", pd.DataFrame({"a": [1]}))


def test_a_name_without_a_format_is_refused() -> None:
    check(Path("out.parquet"))
    with pytest.raises(UsageError, match="not a table: unknown suffix"):
        check(Path("out.xlsx"))
