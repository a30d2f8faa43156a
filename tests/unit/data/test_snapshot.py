"""Parquet files read as one table, a few columns at a time, with the lake's rule for what stands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlops.data.lake import Lake
from mlops.data.snapshot import Snapshot, rows_in
from mlops.errors import DataError
from mlops.schema import Schema

SCHEMA = Schema({"size": "number"}, target="ripe", task="binary", time="picked", key="plum")


def day(number: int) -> pd.Timestamp:
    return pd.Timestamp(f"2026-01-{number:02d}", tz="UTC")


def batch(*rows: tuple[str, int, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["plum", "picked", "size"])
    return table.assign(picked=[day(number) for number in table["picked"]], ripe=True)


def snapshot(lake: Lake) -> Snapshot:
    files = {name: lake.path / name for name in lake.names()}
    return Snapshot(files, time="picked", target="ripe", on_duplicate=lake.on_duplicate)


@pytest.mark.parametrize("rule", ["update", "keep"])
def test_the_rows_that_stand_are_those_of_the_lake(tmp_path: Path, rule) -> None:
    lake = Lake(tmp_path / "lake", rule)
    lake.append(batch(("a", 5, 1.0), ("b", 2, 2.0), ("b", 9, 3.0)), SCHEMA)
    lake.append(batch(("a", 1, 4.0), ("c", 3, 5.0)), SCHEMA)  # later, of an earlier day
    lake.append(batch(("b", 8, 6.0), ("d", 8, 7.0)).assign(ripe=None), SCHEMA)  # they wait for their label
    held = snapshot(lake)
    frame = held.read(["plum", "size"])[held.current_rows("plum")]
    assert len(held) == 7
    expected = lake.read(SCHEMA)
    assert dict(frame.to_numpy()) == dict(expected[["plum", "size"]].to_numpy())
    assert dict(frame.to_numpy())["a"] == (4.0 if rule == "update" else 1.0)
    assert dict(frame.to_numpy())["b"] == (3.0 if rule == "update" else 2.0)


def written(folder: Path, **tables: pd.DataFrame) -> dict[str, Path]:
    files = {}
    for name, table in tables.items():
        files[f"all/{name}.parquet"] = folder / name
        table.to_parquet(folder / name)
    return files


def test_times_with_and_without_a_zone_are_told_apart_by_the_moment(tmp_path: Path) -> None:
    noon, evening = pd.Timestamp("2026-01-01 12:00"), pd.Timestamp("2026-01-01 20:00", tz="Asia/Tokyo")
    files = written(
        tmp_path,
        one=pd.DataFrame({"plum": ["a", "b"], "picked": [noon, noon]}),
        two=pd.DataFrame({"plum": ["a", "b"], "picked": [evening, evening + pd.Timedelta("2h")]}),
    )
    assert Snapshot(files, time="picked").current_rows("plum").tolist() == [True, False, False, True]
    kept = Snapshot(files, time="picked", on_duplicate="keep")
    assert kept.current_rows("plum").tolist() == [False, True, True, False]


def test_a_column_that_some_files_lack_is_missing_there(tmp_path: Path) -> None:
    files = written(tmp_path, one=pd.DataFrame({"x": [1, 2]}), two=pd.DataFrame({"x": [3.5], "y": ["a"]}))
    held = Snapshot(files)
    assert held.types == {"x": "int64 | double", "y": "string"}
    assert held.read(["x"])["x"].tolist() == [1.0, 2.0, 3.5]
    assert held.read(["y"])["y"].isna().tolist() == [True, True, False]


def test_types_that_do_not_go_together_are_read_as_they_are(tmp_path: Path) -> None:
    held = Snapshot(written(tmp_path, one=pd.DataFrame({"x": [1]}), two=pd.DataFrame({"x": ["a"]})))
    assert held.read(["x"])["x"].tolist() == [1, "a"]


def test_a_batch_without_a_value_says_nothing_of_the_type(tmp_path: Path) -> None:
    held = Snapshot(written(tmp_path, one=pd.DataFrame({"x": [None]}), two=pd.DataFrame({"x": ["a"]})))
    assert held.types == {"x": "string"}


def test_no_files_are_a_table_without_rows() -> None:
    assert len(Snapshot({})) == 0
    assert len(Snapshot({}).read(["x"])) == 0


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("not Parquet")
    with pytest.raises(DataError, match=r"all/one\.parquet"):
        len(Snapshot({"all/one.parquet": tmp_path / "one"}))
    assert rows_in(tmp_path / "one") is None
    assert rows_in(tmp_path / "nothing") is None
