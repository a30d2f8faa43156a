from __future__ import annotations

import numpy as np
import pandas as pd

from mlops.monitoring.reference import newest_folds, newest_regime
from mlops.schema import Schema

SCHEMA = Schema({"x": "number", "c": "category"}, "y", "binary", time="at")


def days(n: int, rows: int = 40, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(n), rows)
    frame = pd.DataFrame({"x": rng.normal(size=n * rows), "c": rng.choice(["a", "b"], n * rows)})
    return frame, block


def test_the_newest_folds_that_have_rows_and_blocks_enough_are_chosen() -> None:
    fold = np.repeat([0, 1, 2], 600)
    block = np.repeat(np.arange(18), 100)
    assert newest_folds(fold, block, min_rows=500).sum() == 1200  # six blocks are too few
    assert newest_folds(fold, block, min_rows=500, min_blocks=6).sum() == 600
    assert newest_folds(fold, block, min_rows=601, min_blocks=6).sum() == 1200
    assert newest_folds(fold, block, min_rows=5000).all()


def test_where_nothing_changed_the_whole_is_the_regime() -> None:
    frame, block = days(60)
    assert newest_regime(frame, SCHEMA, block, min_rows=200).all()


def test_the_regime_begins_where_a_number_stepped() -> None:
    frame, block = days(60)
    frame.loc[block >= 40, "x"] += 2.0
    chosen = newest_regime(frame, SCHEMA, block, min_rows=200)
    assert set(block[chosen]) == set(range(40, 60))


def test_the_regime_begins_where_a_category_s_share_changed() -> None:
    frame, block = days(60)
    frame.loc[(block >= 35) & (np.arange(len(block)) % 2 == 0), "c"] = "new"
    chosen = newest_regime(frame, SCHEMA, block, min_rows=200)
    assert min(block[chosen]) == 35


def test_a_regime_is_never_shorter_than_what_can_be_judged() -> None:
    frame, block = days(60)
    frame.loc[block >= 57, "x"] += 3.0
    chosen = newest_regime(frame, SCHEMA, block, min_rows=200)
    assert len(set(block[chosen])) >= 10
    many = newest_regime(frame, SCHEMA, block, min_rows=1000)
    assert many.sum() >= 1000


def test_a_column_without_values_or_with_gaps_is_no_obstacle() -> None:
    frame, block = days(60)
    frame["c"] = frame["c"].astype(object)
    frame.loc[block >= 30, "x"] = np.nan
    frame.loc[::3, "c"] = None
    assert min(block[newest_regime(frame, SCHEMA, block, min_rows=200)]) == 30


def test_without_blocks_of_time_there_is_one_regime() -> None:
    frame, _ = days(10)
    assert newest_regime(frame, SCHEMA, None, min_rows=200).all()
