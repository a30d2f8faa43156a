from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.files.parquet import gather


def test_pieces_become_one_file_with_the_types_of_all(tmp_path: Path) -> None:
    pieces = [
        pa.table({"a": pa.nulls(2), "b": [1, 2]}),
        pa.table({"a": ["x"], "b": [2.5]}),
        pa.table({"b": [3], "c": [True]}),
    ]
    assert gather(iter(pieces), tmp_path / "t.parquet") == 4
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {
        "a": [None, None, "x", None],
        "b": [1.0, 2.0, 2.5, 3.0],
        "c": [None, None, None, True],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_pieces_that_have_no_type_in_common_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowException):
        gather([pa.table({"a": [1]}), pa.table({"a": ["x"]})], tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_none(tmp_path: Path) -> None:
    assert gather([], tmp_path / "t.parquet") == 0
