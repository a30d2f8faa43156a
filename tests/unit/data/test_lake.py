from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.lake import Lake
from mlops.errors import DataError, MissingColumnError
from mlops.schema import Schema
from mlops.tables.conform import conform
from tests.unit.conftest import SCHEMA


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


def test_a_lake_without_time_or_key_holds_one_folder(lake: Lake, table: pd.DataFrame) -> None:
    schema = Schema({"size": "number"}, "ripe", "binary")
    added = lake.append(table, schema)

    assert added.files[0].startswith("all/000001-")
    assert lake.append(table, schema).skipped == 3
    assert lake.read(schema)["size"].tolist() == [1.0, 2.0, 3.0]


def test_an_empty_lake_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(DataError, match="mlops ingest"):
        lake.read(SCHEMA)


def test_a_feature_that_came_later_is_missing_in_the_rows_of_before(lake: Lake, table: pd.DataFrame) -> None:
    kinds: dict[str, str] = {"mass": "number", "tree": "category", "said": "text", "cut": "boolean"}
    later = Schema({**SCHEMA.features, **kinds, "sown": "date"}, "ripe", "binary", SCHEMA.time, SCHEMA.key)
    lake.append(table, SCHEMA)
    new = table.assign(plum=[3, 4, 5], mass=7, tree="oak", said="so", cut=True, sown="2012-01-01")
    lake.append(new, later)
    frame = lake.read(later).set_index("plum").loc[["1", "2", "3", "4", "5"]]  # that of 3 came again

    assert frame["tree"].tolist() == ["", "", "oak", "oak", "oak"]
    assert frame["said"].tolist() == ["", "", "so", "so", "so"]
    for name in ("mass", "cut", "sown"):
        assert frame[name].isna().tolist() == [True, True, False, False, False]
    assert frame.attrs["incomplete"] == dict.fromkeys([*kinds, "sown"], 2)
    assert lake.read(SCHEMA).attrs["incomplete"] == {}


def test_a_feature_that_no_partition_has_is_refused(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    wider = Schema({**SCHEMA.features, "weight": "number"}, "ripe", "binary", "picked", "plum")

    with pytest.raises(
        MissingColumnError, match=r"lake has no column weight; it has size, .* ingest a table"
    ):
        lake.read(wider)


def test_a_partition_without_the_key_is_named(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, Schema(SCHEMA.features, "ripe", "binary"))
    lake.append(table, Schema(SCHEMA.features, "ripe", "binary", key="plum"))

    with pytest.raises(MissingColumnError, match=r"000001-.*\.parquet has no column plum"):
        lake.read(Schema(SCHEMA.features, "ripe", "binary", key="plum"))


@pytest.mark.parametrize(("size", "there"), [([1, 2, 3], 3), ([1, 7, 8], 1)])
def test_rows_that_come_again_with_a_new_feature_are_known_by_the_others(
    lake: Lake, table: pd.DataFrame, size: list[int], there: int
) -> None:
    narrow = Schema({"size": "number"}, "ripe", "binary")
    wider = Schema({"size": "number", "colour": "category"}, "ripe", "binary")
    lake.append(table, narrow)
    with lake.staging() as staging:
        staging.write(conform(table.assign(size=size), wider), None)
        assert lake.overlap(staging, wider) == there


@pytest.mark.parametrize(
    ("before", "now", "values", "read"),
    [
        ("number", "category", [7.0, None, 8.5], ["7", "", "8.5"]),
        ("boolean", "text", [True, None, False], ["1", "", "0"]),
        ("category", "number", ["7", "", "8.5"], [7.0, np.nan, 8.5]),
        ("category", "boolean", ["true", None, "False"], [1.0, np.nan, 0.0]),
    ],
)
def test_a_kind_that_is_corrected_holds_for_the_rows_of_before_and_after(
    lake: Lake, before: str, now: str, values: list[Any], read: list[Any]
) -> None:
    def schema(kind: str) -> Schema:
        return Schema({"zip": kind}, "ripe", "binary", key="plum")

    labels = [True, False, None]
    lake.append(pd.DataFrame({"zip": values, "ripe": labels, "plum": ["a", "b", "c"]}), schema(before))
    rows = lake.read(schema(now))
    np.testing.assert_array_equal(rows["zip"], read)
    lake.append(rows.assign(plum=["d", "e", "f"]), schema(now))
    rows = lake.read(schema(now))
    np.testing.assert_array_equal(rows["zip"], read * 2)
    assert rows["ripe"].tolist() == labels * 2


def test_no_partition_need_have_a_feature_where_that_is_asked_for(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    more = Schema({**SCHEMA.features, "late": "number", "word": "text"}, "ripe", "binary", "picked", "plum")
    rows = lake.read(more, optional=["late", "word"])
    assert (rows["late"].isna().all(), set(rows["word"])) == (True, {""})
    with pytest.raises(MissingColumnError, match="word"):
        lake.read(more, optional=["late"])


def test_a_damaged_partition_is_named(lake: Lake, table: pd.DataFrame) -> None:
    name = lake.append(table, SCHEMA).files[0]
    (lake.path / name).write_bytes(b"PAR1")

    with pytest.raises(DataError, match=f"{name} cannot be read"):
        lake.read(SCHEMA)


@pytest.mark.parametrize(("rule", "size"), [("update", 20.0), ("keep", 2.0)])
def test_a_key_that_comes_again_updates_or_is_kept(
    lake: Lake, table: pd.DataFrame, rule: str, size: float
) -> None:
    lake.append(table, SCHEMA)
    lake.append(table[table["plum"] == 1].assign(size=20), SCHEMA)
    frame = Lake(lake.path, on_duplicate=rule).read(SCHEMA).set_index("plum")

    assert len(frame) == 3
    assert frame.loc["1", "size"] == size


@pytest.mark.parametrize(("rule", "size"), [("update", 9.0), ("keep", 2.0)])
def test_within_a_batch_the_time_decides_whatever_the_order_and_the_months(
    lake: Lake, table: pd.DataFrame, rule: str, size: float
) -> None:
    later = table[table["plum"] == 1].assign(size=9, picked="2013-03-01T00:00:00Z")
    lake.append(pd.concat([later, table]), SCHEMA)
    frame = Lake(lake.path, on_duplicate=rule).read(SCHEMA).set_index("plum")

    assert frame.loc["1", "size"] == size


@pytest.mark.parametrize("rule", ["update", "keep"])
def test_a_row_with_its_label_stands_before_one_that_waits(
    lake: Lake, table: pd.DataFrame, rule: str
) -> None:
    lake.append(table, SCHEMA)  # that of plum 1 waits
    lake.append(table[table["plum"] == 1].assign(ripe=True), SCHEMA)
    lake.append(table.assign(ripe=None), SCHEMA)
    frame = Lake(lake.path, on_duplicate=rule).read(SCHEMA).set_index("plum")

    assert frame["ripe"].to_dict() == {"1": True, "2": False, "3": True}
    assert frame.attrs["for_label"] == (3 if rule == "update" else 1)


def test_what_is_staged_is_unseen_until_it_is_published_and_gone_where_it_is_not(
    lake: Lake, table: pd.DataFrame
) -> None:
    with lake.staging() as staging:
        staging.write(conform(table, SCHEMA), SCHEMA.time)
        assert not lake.path.exists()
    assert list(lake.path.parent.iterdir()) == []
    with lake.staging() as staging:
        for piece in (table[:1], table[1:]):
            staging.write(conform(piece, SCHEMA), SCHEMA.time)
        added = lake.publish(staging)
    assert (added.rows, sum(added.rows_by_file.values())) == (3, 3)
    assert len(lake.read(SCHEMA)) == 3


def test_what_a_killed_process_staged_is_swept(lake: Lake, table: pd.DataFrame) -> None:
    lake.append(table, SCHEMA)
    lake.staging(7).__enter__()  # and never left
    assert len(list(lake.path.parent.iterdir())) == 2
    lake.sweep()
    assert list(lake.path.parent.iterdir()) == [lake.path]


def test_a_publishing_that_was_cut_off_is_finished_by_the_same_batch(lake: Lake, table: pd.DataFrame) -> None:
    whole = lake.append(table, SCHEMA)
    (lake.path / whole.files[1]).unlink()
    again = lake.append(table, SCHEMA)

    assert (again.rows, again.skipped) == (1, 2)
    assert set(again.rows_by_file) == {whole.files[0], *again.files}


def test_labels_that_come_late_have_a_type_once_there_is_one(lake: Lake, table: pd.DataFrame) -> None:
    with lake.staging() as staging:
        for piece in (table.assign(ripe=None), table.assign(ripe=True, plum=["4", "5", "6"])):
            staging.write(conform(piece, SCHEMA), SCHEMA.time)
        lake.publish(staging)
    assert lake.read(SCHEMA)["ripe"].tolist().count(True) == 3


def test_a_batch_of_more_months_than_files_may_be_open_is_staged_all_the_same(
    lake: Lake, table: pd.DataFrame
) -> None:
    times = pd.date_range("2000-01-01", periods=150, freq="32D", tz="UTC")
    rows = pd.DataFrame(
        {"plum": range(150), "picked": times, "size": 1, "colour": "x", "wet": True, "ripe": 1}
    )
    assert lake.append(rows, SCHEMA).rows == 150
    assert len(lake.read(SCHEMA)) == 150
