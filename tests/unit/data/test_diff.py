"""Two tables compared: rows by key or by content, columns, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.diff import ColumnDifference, Difference, compare
from mlops.schema import Schema
from mlops.stats.distance import distances

KEYED = Schema({"size": "number", "colour": "category"}, target="ripe", task="binary", key="plum")
KEYLESS = Schema({"size": "number", "colour": "category"}, target="ripe", task="binary")


class Held:
    """A table in memory; remembers how many cells it gave at once."""

    def __init__(self, frame: pd.DataFrame, **types: str) -> None:
        self._frame = frame
        self.types = {name: types.get(name, _type(frame[name])) for name in frame}
        self.most = 0

    def __len__(self) -> int:
        return len(self._frame)

    def current_rows(self, key: str) -> np.ndarray:
        return ~self._frame[key].duplicated(keep="last").to_numpy()

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        self.most = max(self.most, len(columns) * len(self))
        return self._frame[list(columns)]


def _type(values: pd.Series) -> str:
    names = {"f": "double", "i": "int64", "b": "bool", "M": "timestamp[us, tz=UTC]"}
    return names.get(values.dtype.kind, "string")


def plums(count: int = 40, *, first: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "plum": [f"p{first + i}" for i in range(count)],
            "size": rng.normal(4, 1, count),
            "colour": rng.choice(["red", "blue"], count),
            "ripe": rng.random(count) < 0.5,
        }
    )


def difference(old: pd.DataFrame, new: pd.DataFrame, schema: Schema = KEYED) -> Difference:
    return compare(Held(old), Held(new), schema)


def column(found: Difference, name: str) -> ColumnDifference:
    return next(column for column in found.columns if column.name == name)


def test_a_table_does_not_differ_from_itself():
    found = difference(plums(), plums())
    assert (found.rows.added, found.rows.removed, found.rows.changed) == (0, 0, 0)
    assert {one.change for one in found.columns} == {"same"}
    assert column(found, "size").distance == 0
    assert column(found, "colour").distance == 0


def test_rows_are_told_apart_by_their_key():
    old = plums(40)
    new = pd.concat([old.iloc[5:], plums(7, first=100)], ignore_index=True)
    new.loc[[0, 1, 2], "size"] += 1
    found = difference(old, new).rows
    assert (found.before, found.after) == (40, 42)
    assert (found.added, found.removed, found.changed, found.by) == (7, 5, 3, "plum")


def test_of_rows_with_one_key_the_one_that_stands_counts():
    again = plums(3)
    again["size"] = 9.0
    found = difference(plums(40), pd.concat([plums(40), again], ignore_index=True))
    assert (found.rows.after, found.rows.added, found.rows.changed) == (40, 0, 3)
    size = column(found, "size")
    assert size.after is not None
    assert size.after.spread is not None
    assert size.after.spread.max == 9.0


def test_without_a_key_equal_rows_are_one_another():
    old = plums(40).drop(columns="plum")
    new = pd.concat([old.iloc[5:], old.iloc[[10, 10]]], ignore_index=True)
    found = difference(old, new, KEYLESS).rows
    assert (found.added, found.removed, found.changed, found.by) == (2, 5, None, None)


@pytest.mark.parametrize("rows", [40, 0])
def test_a_column_that_came_and_one_that_went(rows):
    old, new = plums(rows).assign(rain=1.0), plums(rows).assign(wind="south")
    found = difference(old, new)
    assert column(found, "wind").change == "added"
    assert column(found, "rain").change == "removed"
    assert column(found, "rain").after is None
    assert found.rows.changed == 0  # what both have is equal
    assert {one.name for one in found.columns[:2]} == {"rain", "wind"}  # first, for they changed most


def test_a_type_that_changed_is_no_change_of_the_rows():
    old = plums().assign(size=np.arange(40))
    new = plums().assign(size=np.arange(40.0))
    found = difference(old, new)
    assert column(found, "size").types == ("int64", "double")
    assert column(found, "size").change == "type"
    assert found.rows.changed == 0
    assert difference(old, plums().assign(size=[str(i) for i in range(40)])).rows.changed == 0


def test_a_kind_that_was_corrected_is_no_change_of_the_rows():
    old = plums().assign(colour=np.arange(40.0))
    new = pd.concat([old, plums(5, first=100)], ignore_index=True)
    found = compare(Held(old), Held(new, colour="double | string"), KEYED)
    assert (found.rows.added, found.rows.changed) == (5, 0)
    assert set(column(found, "colour").appeared or ()) == {"red", "blue"}
    assert compare(Held(new, colour="double | string"), Held(new), KEYED).rows.changed == 0
    days = old.assign(colour=pd.Timestamp("2026-01-02", tz="UTC"))
    both = pd.concat([days, plums(5, first=100)], ignore_index=True)
    text = Schema({"size": "number", "colour": "text"}, target="ripe", task="binary", key="plum")
    kinds = Held(both, colour="timestamp[us, tz=UTC] | string")
    assert compare(Held(days), kinds, text).rows.changed == 0


def test_the_first_label_that_is_missing_changes_its_row_alone():
    new = plums().astype({"ripe": object})
    new.loc[3, "ripe"] = None
    found = compare(Held(plums()), Held(new, ripe="bool"), KEYED)
    assert found.rows.changed == 1
    ripe = column(found, "ripe")
    assert ripe.before is not None
    assert ripe.after is not None
    assert (ripe.before.missing, ripe.after.missing) == (0, 1 / 40)


def test_values_that_came_and_went_are_named_with_their_share():
    old, new = plums(), plums()
    old.loc[:3, "colour"] = "green"
    new.loc[:1, "colour"] = "black"
    new.loc[2:5, "colour"] = None
    colour = column(difference(old, new), "colour")
    assert colour.vanished == {"green": 4 / 40}
    assert colour.appeared == {"black": pytest.approx(2 / 36)}
    assert colour.after is not None
    assert colour.after.missing == pytest.approx(4 / 40)


def test_a_category_of_very_many_values_is_told_of_in_few():
    many = plums(500).assign(colour=[f"c{i}" for i in range(500)])
    colour = column(difference(plums(500), many), "colour")
    assert colour.after is not None
    assert colour.after.values is not None
    assert colour.after.values.distinct == 500
    assert len(colour.after.values.shares) == len(colour.appeared or ()) == 20


def test_distances_are_those_of_drift():
    old, new = plums(), plums().assign(size=lambda frame: frame["size"] + 1)
    assert column(difference(old, new), "size").distance == pytest.approx(
        distances(old, new, {"size": "number"})["size"]
    )
    assert difference(old, new).columns[0].name == "size"


def test_times_have_a_spread_and_no_distance():
    schema = Schema({"size": "number"}, target="ripe", task="binary", time="picked")
    days = pd.date_range("2026-01-01", periods=40, tz="UTC")
    found = compare(Held(plums().assign(picked=days)), Held(plums().assign(picked=days)), schema)
    told = column(found, "picked").to_dict()
    assert told["after"]["spread"]["max"] == "2026-02-09T00:00:00+00:00"
    assert told["distance"] is None


def test_no_more_cells_are_read_at_once_than_asked_for():
    wide = pd.DataFrame(np.zeros((10, 60)), columns=[f"x{i}" for i in range(60)])
    schema = Schema({"x0": "number"}, target="x1", task="regression")
    old, new = Held(wide), Held(wide)
    found = compare(old, new, schema, cells=100)
    assert max(old.most, new.most) <= 50
    assert len(found.columns) == 60
    assert found.rows == compare(Held(wide), Held(wide), schema).rows


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=20))
def test_what_was_added_the_one_way_was_removed_the_other(left, right):
    schema = Schema({"x": "number"}, target="y", task="regression")
    old, new = (pd.DataFrame({"x": values, "y": values}, dtype=float) for values in (left, right))
    there, back = compare(Held(old), Held(new), schema).rows, compare(Held(new), Held(old), schema).rows
    assert (there.added, there.removed) == (back.removed, back.added)
    assert there.before + there.added - there.removed == there.after
