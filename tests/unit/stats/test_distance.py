from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from mlops.stats.distance import between, distances, prepared
from mlops.stats.robust import CLIP

NUMBER, CATEGORY = {"x": "number"}, {"x": "category"}
samples = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30)


def frame(*values):
    return pd.DataFrame({"x": values})


@given(samples, samples)
def test_numbers_are_measured_as_scipy_measures_them(old, new):
    quartiles = np.quantile(old, [0.25, 0.5, 0.75], method="inverted_cdf")
    width = (quartiles[2] - quartiles[0]) / 1.3489795
    assume(width > 0)
    scaled = [np.clip((np.asarray(side) - quartiles[1]) / width, -CLIP, CLIP) for side in (old, new)]
    expected = wasserstein_distance(*scaled)
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
