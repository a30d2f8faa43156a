from __future__ import annotations

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.alpha import split

NAMES = [*"abcde", "prediction"]


@given(st.dictionaries(st.sampled_from("abcde"), st.floats(allow_nan=True, allow_infinity=True)))
def test_the_parts_add_up_to_alpha_and_none_is_less_than_half_an_even_one(importances):
    parts = split(0.05, NAMES, importances)
    assert list(parts) == NAMES
    assert sum(parts.values()) == pytest.approx(0.05)
    assert min(parts.values()) >= 0.05 / 12 * (1 - 1e-12)


def test_what_the_model_uses_most_gets_most():
    parts = split(0.06, NAMES, {"a": 0.3, "b": 0.1, "c": 0.0, "d": -0.2, "e": nan})
    assert parts["a"] > parts["b"] > parts["c"] == parts["d"] == parts["e"] == pytest.approx(0.005)
    assert parts["prediction"] == pytest.approx(0.01)


def test_without_importances_alpha_is_split_evenly():
    assert split(0.06, NAMES, {}) == pytest.approx(dict.fromkeys(NAMES, 0.01))
    assert split(0.06, NAMES, dict.fromkeys("abcde", 0.0)) == pytest.approx(dict.fromkeys(NAMES, 0.01))
    assert split(0.05, [], {}) == {}
