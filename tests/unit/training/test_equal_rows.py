from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.config.params import TrainParams
from mlops.schema import Schema
from mlops.training.cross_validation import folds
from mlops.training.plan import Plan, plan
from tests.hourly import KEYED, days

PLAIN = Schema({"x": "number"}, "y", "binary")
SHIP = Schema({"class": "category", "age": "category", "sex": "category"}, "survived", "binary")
PASSENGERS = {
    ("1st", "adult", "man"): (175, 57),
    ("1st", "adult", "woman"): (144, 140),
    ("1st", "child", "man"): (5, 5),
    ("1st", "child", "woman"): (1, 1),
    ("2nd", "adult", "man"): (168, 14),
    ("2nd", "adult", "woman"): (93, 80),
    ("2nd", "child", "man"): (11, 11),
    ("2nd", "child", "woman"): (13, 13),
    ("3rd", "adult", "man"): (462, 75),
    ("3rd", "adult", "woman"): (165, 76),
    ("3rd", "child", "man"): (48, 13),
    ("3rd", "child", "woman"): (31, 14),
}
"""Of each combination: rows, and those of them who survived."""


def passengers() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {**dict(zip(SHIP.features, values, strict=True)), "survived": number < survived}
            for values, (rows, survived) in PASSENGERS.items()
            for number in range(rows)
        ]
    )


def of(rows: pd.DataFrame, schema: Schema = PLAIN) -> Plan:
    return plan(rows, schema, TrainParams(window=days(80), holdout=days(20), folds=3))


def as_drawn(made: Plan) -> list[tuple[object, ...]]:
    return sorted(
        (*row, fold) for row, fold in zip(made.scored.to_numpy().tolist(), made.fold_of, strict=True)
    )


def test_of_few_combinations_a_fifth_of_each_is_held_out_and_the_plan_says_which_are_on_both_sides() -> None:
    table = passengers()
    made = of(table, SHIP)

    assert abs(len(made.scored) / len(table) - 0.2) < 0.01
    held_out = made.scored.groupby(list(SHIP.features)).size()
    for values, (rows, _) in PASSENGERS.items():
        if rows > 13:  # a hundredth of the table
            assert 0.15 < held_out[values] / rows < 0.25, values
        else:
            assert held_out.get(values, 0) in (0, rows), values
    assert abs(made.scored["survived"].mean() - table["survived"].mean()) < 0.03
    assert made.drawn is not None
    assert made.drawn.groups == 8
    assert made.drawn.equal_rows == sum(rows for rows, _ in PASSENGERS.values() if rows > 13)
    assert "1,286 rows are of 8 combinations" in made.drawn.sentence


def test_each_fold_of_few_combinations_has_as_many_rows() -> None:
    made = of(passengers(), SHIP)
    assert all(abs(len(fold.scored) / 1316 - 0.2 / 3) < 0.01 for fold in made.folds)


def test_what_is_held_out_does_not_depend_on_the_order_of_the_rows() -> None:
    table = passengers()
    assert as_drawn(of(table, SHIP)) == as_drawn(of(table.sample(frac=1, random_state=1), SHIP))


def test_where_few_rows_repeat_equal_rows_stay_on_one_side() -> None:
    values = np.random.default_rng(5).random(900)
    table = pd.DataFrame({"x": [*values, *values[:100]], "y": [True, False] * 500})
    made = of(table)

    assert made.drawn is not None
    assert made.drawn.groups == 0
    assert abs(len(made.scored) - 200) <= 10
    for _, fitted, scored in made.parts():
        assert set(fitted["x"]).isdisjoint(scored["x"])


@pytest.mark.parametrize("rows", [50, 150, 1000, 4000])
@pytest.mark.parametrize("distinct", [2, 12, 60, 150, 10**6])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_share_asked_for_is_held_out_whatever_repeats(rows: int, distinct: int, *, skewed: bool) -> None:
    drawn = np.random.default_rng(rows + distinct)
    values = drawn.zipf(1.5, rows) % distinct if skewed else drawn.integers(0, distinct, rows)
    made = of(pd.DataFrame({"x": values.astype(float), "y": drawn.random(rows) < 0.3}))
    assert abs(len(made.scored) - 0.2 * rows) <= max(1, 0.01 * rows)


def test_the_share_of_many_keyed_rows_is_that_asked_for_and_none_leaves_its_fold() -> None:
    keyed = pd.DataFrame({"x": 1.0, "y": True, "id": [f"k{i}" for i in range(8000)]})
    few, many = (of(keyed.iloc[:rows], KEYED) for rows in (1000, 8000))
    assert abs(len(many.scored) / 8000 - 0.2) < 0.01
    assert set(as_drawn(few)) <= set(as_drawn(many))


def test_rows_of_few_combinations_stay_where_they_are_as_others_are_added() -> None:
    table = passengers()
    grown = pd.concat([table, table.iloc[::3]], ignore_index=True)
    few, many = (pd.Series(as_drawn(of(rows, SHIP))).value_counts() for rows in (table, grown))
    kept = np.minimum(few, many.reindex(few.index).fillna(0)).sum()
    assert kept > 0.9 * few.sum()


def test_folds_of_a_search_have_as_many_rows_of_each_combination() -> None:
    table = passengers()
    for _, measured in folds(table, SHIP, count=4, gap=days(1)):
        assert abs(len(measured) / len(table) - 0.25) < 0.03
        assert abs((measured["class"] == "3rd").mean() - (table["class"] == "3rd").mean()) < 0.05


def test_two_combinations_make_as_many_folds_as_asked_for() -> None:
    table = pd.DataFrame({"x": [0.0] * 6 + [1.0] * 6, "y": [True, False] * 6})
    assert len(folds(table, PLAIN, count=3, gap=days(1))) == 3
