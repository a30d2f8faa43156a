from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from mlops.stats.distance import between, distances, null_quantiles, prepared

NUMBER, CATEGORY = {"x": "number"}, {"x": "category"}
samples = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30)


def frame(*values):
    return pd.DataFrame({"x": values})


@given(samples, samples)
def test_numbers_are_measured_as_scipy_measures_them(old, new):
    expected = wasserstein_distance(old, new) / max(np.std(old), 0.001)
    assert distances(frame(*old), frame(*new), NUMBER)["x"] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=5), st.lists(st.integers(1, 20), min_size=5, max_size=5)
)
def test_categories_are_measured_as_scipy_measures_them(old, new):
    old = [*old, *[1] * (5 - len(old))]
    if not sum(old):
        return
    names = list("abcde")
    found = distances(frame(*np.repeat(names, old)), frame(*np.repeat(names, new)), CATEGORY)["x"]
    assert found == pytest.approx(distance.jensenshannon(old, new), abs=1e-7)


@given(samples)
def test_a_sample_is_no_distance_from_itself(values):
    assert distances(frame(*values), frame(*values), NUMBER)["x"] == 0


def test_missing_and_infinite_numbers_count_nowhere():
    assert distances(frame(1.0, 2.0), frame(1.0, np.nan, 2.0, np.inf), NUMBER)["x"] == 0


def test_a_missing_category_is_a_category():
    assert distances(frame("a", "b"), frame("a", None), CATEGORY)["x"] > 0.4


def test_numbers_of_before_they_were_called_a_category_are_the_same_category():
    assert distances(frame(7.0, None, 8.5), frame("7", None, "8.5"), CATEGORY)["x"] == 0
    assert prepared(frame(7.0, None, "a b"), {"x": "text"})["x"].tolist() == [1, 0, 2]


def test_truth_is_measured_however_it_is_written():
    truth, floats = frame(True, False, None), frame(1.0, 0.0, np.nan)
    assert distances(truth, floats, {"x": "boolean"})["x"] == 0


@pytest.mark.parametrize("kind", ["number", "category", "boolean", "text"])
def test_between_prepared_columns_the_distance_is_the_same(kind):
    old, new = frame(True, False, False, None), frame(True, True, False)
    if kind in ("category", "text"):
        old, new = frame("a", "a b", None), frame("a b c", "a")
    ready = [prepared(side, {"x": kind}) for side in (old, new)]
    found = between(*ready, {"x": kind})
    assert found == distances(old, new, {"x": kind})
    assert found["x"] > 0


def test_column_without_a_value_is_left_out():
    assert distances(frame(1.0, 2.0), frame(np.nan), NUMBER) == {}


def test_prepared_rows_hold_no_null_category_and_no_infinity():
    rows = pd.DataFrame({"c": ["a", None], "n": [-np.inf, 1]}, index=[5, 9])
    found = prepared(rows, {"c": "category", "n": "number"})
    assert list(found["c"]) == ["a", ""]
    assert np.isnan(found["n"][0])


def quantile(x, blocks, **changed):
    given = {"window_blocks": 10, "window_rows": 10_000, "quantile": 0.99, "resamples": 500, "seed": 0}
    return null_quantiles(x.to_frame("x"), NUMBER, blocks, **{**given, **changed})["x"]


@pytest.mark.statistical
def test_chance_does_as_much_as_fresh_windows_show():
    """The null agrees with a simulation of many windows against many references."""
    rng = np.random.default_rng(0)

    def days(n):
        return rng.normal(size=n).repeat(50) + rng.normal(size=n * 50)

    shown = [distances(frame(*days(60)), frame(*days(10)), NUMBER)["x"] for _ in range(300)]
    learnt = [quantile(pd.Series(days(60)), np.arange(60).repeat(50), quantile=0.9) for _ in range(5)]
    assert np.mean(learnt) == pytest.approx(np.quantile(shown, 0.9), rel=0.2)


def test_a_window_thinner_than_the_reference_wavers_more():
    rng = np.random.default_rng(0)
    x, blocks = pd.Series(rng.normal(size=6000)), np.arange(60).repeat(100)
    assert quantile(x, blocks, window_rows=50) > 3 * quantile(x, blocks, window_rows=1000)


def test_rows_that_are_blocks_of_their_own_are_pooled():
    rng = np.random.default_rng(0)
    x = pd.Series(rng.normal(size=5000))
    by_row = quantile(x, np.arange(5000), window_blocks=500, window_rows=500)
    assert by_row == pytest.approx(
        quantile(x, np.arange(50).repeat(100), window_blocks=5, window_rows=500), rel=0.25
    )


def test_parts_of_blocks_are_never_held_side_by_side():
    names = pd.DataFrame({"x": np.random.default_rng(0).integers(0, 4000, 20_000).astype(str)})
    blocks = np.arange(200).repeat(100)
    tracemalloc.start()
    try:
        null_quantiles(
            names,
            CATEGORY,
            blocks,
            window_blocks=20,
            window_rows=100,
            quantile=0.9,
            resamples=20,
            seed=0,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6  # 200 blocks of 20 parts with 4000 names were 128 MB


def test_too_few_blocks_tell_nothing():
    x = pd.DataFrame({"x": np.arange(90.0)})
    given = {"window_blocks": 3, "window_rows": 30, "quantile": 0.9, "resamples": 100, "seed": 0}
    assert null_quantiles(x, NUMBER, np.arange(9).repeat(10), **given) == {}
    assert "x" in null_quantiles(x, NUMBER, np.arange(10).repeat(9), **given)


def test_the_same_seed_gives_the_same_quantile():
    x, blocks = pd.Series(np.arange(600.0)), np.arange(20).repeat(30)
    assert quantile(x, blocks) == quantile(x, blocks)
    assert quantile(x, blocks) != quantile(x, blocks, seed=1)
