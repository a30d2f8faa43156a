from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import DataError
from mlops.source import read_table

TABLE = pd.DataFrame({"id": ["007", "b"], "size": [1.5, None], "at": ["2013-01-01T00:00:00Z"] * 2})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.parquet", "t.jsonl", "t.jsonl.gz"])
def test_a_table_is_read_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if ".csv" in name:
        TABLE.to_csv(path, index=False)
    elif "json" in name:
        TABLE.to_json(path, orient="records", lines=True)
    else:
        TABLE.to_parquet(path)
    read = read_table(path)

    assert read["size"].iloc[0] == 1.5
    assert pd.isna(read["size"].iloc[1])
    assert read["id"].tolist() == ["007", "b"]
    assert read["at"].tolist() == TABLE["at"].tolist()  # times are parsed in one place, the lake


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.xlsx", b"", "no table known by its name"),
        ("t.csv", b"", "cannot be read as a table"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv.zip", b"PK?", "cannot be read as a table"),
        ("t.csv.gz", b"plain", "cannot be read as a table"),
        ("t.parquet", b"a,b\n1,2\n", "cannot be read as a table"),
        ("t.jsonl", b'{"a": 1}\nnot json\n', "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=said):
        read_table(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*gone\.csv"):
        read_table(tmp_path / "gone.csv")
