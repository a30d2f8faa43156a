from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.monitoring.validity import Blocks
from mlops.monitoring.validity import validate as findings

COLUMNS = {"temp": "number", "distance": "number", "dest": "category", "online": "boolean"}


def notes(reference, current, columns=COLUMNS, **how):
    """Every finding: rows have no time."""
    blocks = Blocks(np.arange(len(reference)), np.arange(len(current)), None)
    return findings(reference, current, columns, blocks, **how)


def validate(reference, current, columns=COLUMNS, **how):
    """What is proven broken."""
    found = notes(reference, current, columns, **how)
    return {name: finding.note for name, finding in found.items() if finding.is_broken}


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
    assert validate(reference, current) == {}


def test_a_warm_summer_is_no_broken_column(reference, current):
    current["temp"] += 30
    assert validate(reference, current) == {}


def test_missing_column_is_named(reference, current):
    assert "missing" in validate(reference, current.drop(columns="temp"))["temp"]


@pytest.mark.parametrize(("share", "broken"), [(0.04, False), (0.1, True), (1.0, True)])
def test_jump_of_missing_values_is_named(reference, current, share, broken):
    current.loc[: share * len(current) - 1, ["temp", "dest"]] = [np.nan, None]
    assert set(validate(reference, current)) == ({"temp", "dest"} if broken else set())


def test_column_that_was_often_missing_may_be_so_again(reference, current):
    for frame in (reference, current):
        frame.loc[: len(frame) // 2, "temp"] = np.nan
    assert validate(reference, current) == {}
    current["temp"] = np.nan
    assert "100%" in validate(reference, current)["temp"]


def test_column_that_never_had_a_value_is_not_broken_by_having_none(reference, current):
    assert validate(reference.assign(temp=np.nan), current.assign(temp=np.nan)) == {}


@pytest.mark.parametrize("factor", [100, 1000, 0.01])
def test_a_decimal_factor_is_another_unit(reference, current, factor):
    current["distance"] *= factor
    assert validate(reference, current) == {
        "distance": f"throughout the window the values are the reference's times {factor:g}"
    }


@pytest.mark.parametrize("factor", [1.609344, 1 / 60, 10, 137])
def test_another_factor_proves_nothing_and_has_a_note(reference, current, factor):
    current["distance"] *= factor
    assert validate(reference, current) == {}
    assert f"times {factor:.3g}: perhaps another unit" in notes(reference, current)["distance"].note


def test_a_hundredfold_of_another_distribution_proves_nothing(reference, current):
    season = 50 + 1.5 * (current["temp"] - 50)
    assert validate(reference, current.assign(temp=season)) == {}
    assert validate(reference, current.assign(temp=season / 100)) == {}
    assert "temp" in validate(reference, current.assign(temp=current["temp"] / 100))


def test_values_in_another_range_have_a_note(reference, current):
    current["temp"] += 273
    assert validate(reference, current) == {}
    assert "far outside" in notes(reference, current)["temp"].note


def test_booleans_have_no_unit(reference, current):
    current["online"] *= 100
    assert validate(reference, current) == {}


def test_constant_that_moves_has_drifted_rather(reference, current):
    assert validate(reference.assign(temp=1.0), current.assign(temp=100.0)) == {}


def test_a_new_majority_is_news_and_not_broken(reference, current):
    current["dest"] = current["dest"].str.lower()
    assert validate(reference, current) == {}
    assert "never occur" in notes(reference, current)["dest"].note


def test_an_accepted_break_is_no_longer_one(reference, current):
    current = current.drop(columns="temp").assign(distance=100 * current["distance"])
    assert set(validate(reference, current)) == {"temp", "distance"}
    assert set(validate(reference, current, accept=["temp"])) == {"distance"}
    finding = notes(reference, current, accept=["temp"])["temp"]
    assert finding.is_accepted
    assert finding.note == "the column is missing; accepted by monitor.accept"


@pytest.mark.parametrize(("column", "value"), [("temp", "50.0"), ("dest", 3), ("online", "yes")])
def test_wrong_type_is_named_with_a_value(reference, current, column, value):
    current[column] = current[column].astype(object)
    current.loc[7, column] = value
    assert repr(value) in validate(reference, current)[column]


def test_text_is_new_each_time_and_broken_only_where_it_is_missing() -> None:
    old = pd.DataFrame({"note": [f"parcel {i} left" for i in range(100)]})
    new = pd.DataFrame({"note": [f"order {i} came" for i in range(100)]})
    assert validate(old, new, {"note": "text"}) == {}
    half = pd.DataFrame({"note": [*new["note"][:50], *[""] * 50]})
    assert "50% of the values are missing" in validate(old, half, {"note": "text"})["note"]
    assert "is no text" in validate(old, new.assign(note=3), {"note": "text"})["note"]


def test_missing_values_have_their_days(reference, current):
    days = np.arange(len(current)) * 30 // len(current)
    blocks = Blocks(np.arange(len(reference)) - len(reference), days, lambda block: f"day {block}")
    gone = (days >= 7) & (days < 12)
    [finding] = findings(reference, current.assign(temp=current["temp"].mask(gone)), COLUMNS, blocks).values()
    assert finding.note == "17% of the values are missing from day 7 to day 11; in the reference 0%"
    [finding] = findings(
        reference, current.assign(temp=current["temp"].mask(days >= 7)), COLUMNS, blocks
    ).values()
    assert "missing from day 7 on; " in finding.note
    scattered = np.random.default_rng(3).random(len(current)) < 0.3
    noted = findings(reference, current.assign(temp=current["temp"].mask(scattered)), COLUMNS, blocks)
    assert "day" not in noted["temp"].note
