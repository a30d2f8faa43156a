from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.monitoring.validity import validate

COLUMNS = {"temp": "number", "distance": "number", "dest": "category", "online": "boolean"}


@pytest.fixture
def reference():
    return table(0)


@pytest.fixture
def current():
    return table(1)


def table(seed, n=2000):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temp": rng.normal(50, 10, n),
            "distance": rng.choice([200.0, 700.0, 1000.0, 2500.0], n),
            "dest": rng.choice(["BOS", "ORD", "LAX"], n),
            "online": rng.choice([0.0, 1.0], n),
        }
    )


def test_sound_columns_are_not_named(reference, current):
    assert validate(reference, current, COLUMNS) == {}


def test_a_warm_summer_is_no_broken_column(reference, current):
    current["temp"] += 30
    assert validate(reference, current, COLUMNS) == {}


def test_missing_column_is_named(reference, current):
    assert "missing" in validate(reference, current.drop(columns="temp"), COLUMNS)["temp"]


@pytest.mark.parametrize(("share", "broken"), [(0.04, False), (0.1, True), (1.0, True)])
def test_jump_of_missing_values_is_named(reference, current, share, broken):
    current.loc[: share * len(current) - 1, ["temp", "dest"]] = [np.nan, None]
    assert set(validate(reference, current, COLUMNS)) == ({"temp", "dest"} if broken else set())


def test_column_that_was_often_missing_may_be_so_again(reference, current):
    for frame in (reference, current):
        frame.loc[: len(frame) // 2, "temp"] = np.nan
    assert validate(reference, current, COLUMNS) == {}
    current["temp"] = np.nan
    assert "100%" in validate(reference, current, COLUMNS)["temp"]


def test_column_that_never_had_a_value_is_not_broken_by_having_none(reference, current):
    assert validate(reference.assign(temp=np.nan), current.assign(temp=np.nan), COLUMNS) == {}


@pytest.mark.parametrize("factor", [1.609344, 1 / 60, 1000])
def test_another_unit_is_named(reference, current, factor):
    current["distance"] *= factor
    assert set(validate(reference, current, COLUMNS)) == {"distance"}


def test_hundredfold_is_another_unit_though_the_season_changed_too(reference, current):
    season = 50 + 1.5 * (current["temp"] - 50)
    assert validate(reference, current.assign(temp=season), COLUMNS) == {}
    assert validate(reference, current.assign(temp=season * 1.7), COLUMNS) == {}
    assert "another unit" in validate(reference, current.assign(temp=season / 100), COLUMNS)["temp"]


def test_values_in_another_range_are_named(reference, current):
    current["temp"] += 273
    assert "far outside" in validate(reference, current, COLUMNS)["temp"]


def test_constant_that_moves_has_drifted_rather(reference, current):
    assert validate(reference.assign(temp=1.0), current.assign(temp=2.0), COLUMNS) == {}


def test_categories_written_otherwise_are_named(reference, current):
    current["dest"] = current["dest"].str.lower()
    assert "never occur" in validate(reference, current, COLUMNS)["dest"]


@pytest.mark.parametrize(("column", "value"), [("temp", "50.0"), ("dest", 3), ("online", "yes")])
def test_wrong_type_is_named_with_a_value(reference, current, column, value):
    current[column] = current[column].astype(object)
    current.loc[7, column] = value
    assert repr(value) in validate(reference, current, COLUMNS)[column]


def test_text_is_new_each_time_and_broken_only_where_it_is_missing() -> None:
    old = pd.DataFrame({"note": [f"parcel {i} left" for i in range(100)]})
    new = pd.DataFrame({"note": [f"order {i} came" for i in range(100)]})
    assert validate(old, new, {"note": "text"}) == {}
    half = pd.DataFrame({"note": [*new["note"][:50], *[""] * 50]})
    assert "50% of the values are missing" in validate(old, half, {"note": "text"})["note"]
    assert "is no text" in validate(old, new.assign(note=3), {"note": "text"})["note"]
