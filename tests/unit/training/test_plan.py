from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.params import TrainParams
from mlops.errors import EmptyWindowError
from mlops.schema import Schema
from mlops.training.plan import Plan, mature, plan
from tests.hourly import KEYED, START, TIMED, days, hours


def of(rows: pd.DataFrame, schema: Schema = TIMED, **rule: object) -> Plan:
    wanted = {"window": "10d", "holdout": "6d", "gap": "1d", "folds": 3, **rule}
    return plan(rows, schema, TrainParams.model_validate(wanted))


def test_the_newest_rows_are_cut_into_stretches_of_one_length() -> None:
    made = of(hours(list(range(24 * 30))))
    end = START + pd.Timedelta(hours=24 * 30 - 1)

    starts = [made.rows["at"].iloc[fold.scored].min() for fold in made.folds]
    assert starts == [end - days(6), end - days(4), end - days(2)]
    assert [fold.scored_period.start for fold in made.folds] == starts
    assert made.holdout.start == end - days(6)
    assert made.holdout.end == end + timedelta(microseconds=1)
    assert made.scored["at"].max() == end
    assert made.fold_of.tolist() == sorted(made.fold_of.tolist())


def test_a_fold_fits_the_window_that_ends_a_gap_before_it() -> None:
    made = of(hours(list(range(24 * 30))))
    for fold, fitted, scored in made.parts():
        origin = scored["at"].min()
        assert fitted["at"].min() == origin - days(11) == fold.fitted_period.start
        assert fitted["at"].max() == origin - days(1) - timedelta(hours=1)  # half-open
        assert fold.fitted_period.end == origin - days(1)


def test_the_refit_has_seen_the_newest_row() -> None:
    made = of(hours(list(range(24 * 30))))
    end = START + pd.Timedelta(hours=24 * 30 - 1)
    assert made.train["at"].max() == end
    assert made.train["at"].min() == end - days(10)
    assert made.period.end == end + timedelta(microseconds=1)


@given(
    st.lists(st.integers(0, 2000), min_size=2, max_size=60),
    st.integers(1, 20),
    st.integers(0, 5),
    st.integers(1, 5),
)
def test_no_fold_fits_a_row_that_it_scores_or_a_later_one(
    offsets: list[int], holdout: int, gap: int, count: int
) -> None:
    try:
        made = of(hours(offsets), window="60d", holdout=f"{holdout}d", gap=f"{gap}d", folds=count)
    except EmptyWindowError:
        return
    scored = [place for fold in made.folds for place in fold.scored]
    assert len(scored) == len(set(scored)) == len(made.scored) == len(made.fold_of)
    for _, fitted, rows in made.parts():
        assert fitted["at"].max() < rows["at"].min() - days(gap)
    assert made.scored["at"].max() == hours(offsets)["at"].max() == made.train["at"].max()
    assert made.before["at"].max() < made.scored["at"].min() - days(gap)


def test_a_stretch_without_a_row_is_no_fold() -> None:
    rows = hours([*range(24 * 22), *range(24 * 28, 24 * 30)])  # six days missing
    assert [fold.number for fold in of(rows).folds] == [2]


def test_rows_as_young_as_one_that_waits_for_its_label_are_left_out() -> None:
    rows = hours(list(range(24 * 30)))
    rows["y"] = rows["y"].astype(object)
    rows.loc[24 * 29, "y"] = None  # of the last day one label is late: the others came fast
    kept = mature(rows, TIMED, days(2))
    assert kept["at"].max() == rows["at"].max() - days(2)
    assert mature(rows, TIMED, timedelta(hours=1))["at"].max() == rows["at"].max()
    assert len(mature(rows, TIMED, timedelta(hours=1))) == len(rows) - 1


def test_where_all_labels_have_come_nothing_waits() -> None:
    rows = hours(list(range(24 * 30)))
    assert len(mature(rows, TIMED, days(10))) == len(rows)


def test_a_row_that_never_got_its_label_holds_nothing_back() -> None:
    rows = hours(list(range(24 * 30)))
    rows["y"] = rows["y"].astype(object)
    rows.loc[5, "y"] = None
    assert len(mature(rows, TIMED, days(2))) == len(rows) - 1


def test_an_empty_window_is_named_with_its_times_and_its_fold() -> None:
    with pytest.raises(EmptyWindowError, match="2012-12-14 05:00 and 2012-12-24 05:00 UTC, which fold 1"):
        of(hours([1, 5]), holdout="7d", folds=1)


def test_without_rows_there_is_no_plan() -> None:
    with pytest.raises(EmptyWindowError, match="no labelled rows"):
        of(hours([1]).iloc[:0])


def test_without_time_a_row_keeps_its_fold_as_others_are_added() -> None:
    frame = pd.DataFrame({"x": 1.0, "y": True, "id": [f"row-{i}" for i in range(1000)]})
    few, many = (of(frame.iloc[:n], KEYED, window="30d", holdout="10d") for n in (500, 1000))

    fold_in_few = dict(zip(few.scored["id"], few.fold_of, strict=True))
    fold_in_many = dict(zip(many.scored["id"], many.fold_of, strict=True))
    assert fold_in_few.items() <= fold_in_many.items()
    assert 200 < len(many.scored) < 300  # a quarter: 10 of 40 days
    assert set(many.fold_of) == {0, 1, 2}


def test_without_time_a_fold_fits_all_other_rows_and_the_refit_all() -> None:
    made = of(pd.DataFrame({"x": 1.0, "y": True, "id": [f"r{i}" for i in range(300)]}), KEYED)
    for _, fitted, scored in made.parts():
        assert set(fitted["id"]) | set(scored["id"]) == set(made.rows["id"])
        assert set(fitted["id"]).isdisjoint(scored["id"])
    assert len(made.train) == 300
    assert set(made.before["id"]).isdisjoint(made.scored["id"])
    assert len(made.before) + len(made.scored) == 300


def test_one_row_cannot_be_planned() -> None:
    with pytest.raises(EmptyWindowError, match="1 rows are too few"):
        of(pd.DataFrame({"x": [1.0], "y": [True], "id": ["a"]}), KEYED, window="30d", holdout="10d")
