from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlops
from mlops.config.params import MonitorParams
from mlops.errors import MissingColumnError, UnusableValueError, UsageError

SCHEMA = mlops.Schema(
    {"size": "number", "colour": "category", "wet": "boolean", "picked": "date"}, "ripe", "binary", "picked"
)
ROWS = 720


def plums(size: float = 4.0, *, seed: int = 0, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = {
        "picked": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC"),
        "size": rng.normal(size, 1.0, ROWS),
        "colour": rng.choice(["red", "blue"], ROWS),
        "wet": rng.random(ROWS) < 0.5,
    }
    return pd.DataFrame({**table, **columns})


def test_the_column_that_moved_is_drift_and_the_others_are_ok():
    drift = mlops.measure_drift(plums(), plums(5.0, seed=1), SCHEMA)
    assert drift["verdict"].to_dict() == {"size": "drift", "colour": "ok", "wet": "ok"}
    assert drift.loc["size", "value"] > drift.loc["size", "threshold"] > 0.1


def test_the_statistic_is_that_of_the_formula():
    from scipy.stats import wasserstein_distance

    before, now = plums(), plums(5.0, seed=1)
    value = mlops.measure_drift(before, now, SCHEMA).loc["size", "value"]
    low, middle, high = before["size"].quantile([0.25, 0.5, 0.75], interpolation="lower")
    spread = (high - low) / 1.349
    clipped = [side["size"].clip(middle - 5 * spread, middle + 5 * spread) for side in (before, now)]
    assert value == pytest.approx(wasserstein_distance(*clipped) / spread, rel=3e-3)


def test_the_score_is_compared_where_both_tables_have_it():
    rng = np.random.default_rng(0)
    before, now = (
        plums(seed=seed).assign(prediction=True, score=rng.beta(a, 5, ROWS)) for seed, a in ((0, 5), (1, 9))
    )
    drift = mlops.measure_drift(before, now, SCHEMA)
    assert drift["verdict"].to_dict() == {"size": "ok", "colour": "ok", "wet": "ok", "prediction": "drift"}
    assert "prediction" not in mlops.measure_drift(before, now.drop(columns="score"), SCHEMA).index


def test_a_broken_column_is_invalid_and_says_why():
    now = plums(seed=1).drop(columns="colour").assign(size="big")
    drift = mlops.measure_drift(plums(), now, SCHEMA)
    assert drift["verdict"].to_dict() == {"size": "invalid", "colour": "invalid", "wet": "ok"}
    assert drift.loc["colour", "note"] == "the column is missing"
    assert "'big' is no number" in drift.loc["size", "note"]


def test_a_reference_that_lacks_a_feature_is_refused():
    with pytest.raises(MissingColumnError, match="The reference has no column size"):
        mlops.measure_drift(plums().drop(columns="size"), plums(), SCHEMA)


def test_a_reference_with_a_value_that_cannot_be_used_is_refused():
    with pytest.raises(UnusableValueError, match="size holds 'big' in row 0"):
        mlops.measure_drift(plums(size=4.0).assign(size="big"), plums(), SCHEMA)


def test_too_few_rows_are_insufficient():
    drift = mlops.measure_drift(plums(), plums().head(100), SCHEMA)
    assert set(drift["verdict"]) == {"insufficient"}
    assert drift["value"].isna().all()
    assert set(mlops.measure_drift(plums(), plums().head(100), SCHEMA, min_rows=100)["verdict"]) != {
        "insufficient"
    }


def test_tables_without_the_time_are_compared_row_by_row():
    drift = mlops.measure_drift(plums().drop(columns="picked"), plums(5.0, seed=1), SCHEMA)
    assert drift.loc["size", "verdict"] == "drift"


def test_a_setting_out_of_range_is_named():
    with pytest.raises(UsageError, match=r"alpha is 2\.0, allowed: less than 1"):
        mlops.measure_drift(plums(), plums(), SCHEMA, alpha=2.0)


def test_the_settings_are_those_of_params_yaml():
    defaults = inspect.signature(mlops.measure_drift).parameters
    monitor = MonitorParams()
    for name in ("alpha", "min_effect", "min_rows"):
        assert defaults[name].default == getattr(monitor, name), name


def test_the_tables_are_left_as_they_were():
    before, now = plums(), plums(seed=1)
    mlops.measure_drift(before, now, SCHEMA)
    pd.testing.assert_frame_equal(before, plums())
    pd.testing.assert_frame_equal(now, plums(seed=1))
