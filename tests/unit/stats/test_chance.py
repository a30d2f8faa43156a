from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mlops.stats.chance import null_quantiles
from mlops.stats.distance import distances

NUMBER, CATEGORY = {"x": "number"}, {"x": "category"}


def frame(*values):
    return pd.DataFrame({"x": values})


def quantile(x, blocks, **changed):
    given = {"window_blocks": 10, "window_rows": 10_000, "tails": {"x": 0.01}, "ordered": False, "seed": 0}
    return null_quantiles(x.to_frame("x"), NUMBER, blocks, **{**given, **changed})["x"]


@pytest.mark.statistical
def test_chance_does_as_much_as_fresh_windows_show():
    """The null agrees with a simulation of many windows against many references."""
    rng = np.random.default_rng(0)

    def days(n):
        return rng.normal(size=n).repeat(50) + rng.normal(size=n * 50)

    shown = [distances(frame(*days(60)), frame(*days(10)), NUMBER)["x"] for _ in range(300)]
    learnt = [quantile(pd.Series(days(60)), np.arange(60).repeat(50), tails={"x": 0.1}) for _ in range(5)]
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
            tails={"x": 0.1},
            ordered=True,
            seed=0,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6  # 200 blocks of 20 parts with 4000 names were 128 MB


def test_too_few_blocks_tell_nothing():
    x = pd.DataFrame({"x": np.arange(90.0)})
    given = {"window_blocks": 3, "window_rows": 30, "tails": {"x": 0.1}, "ordered": True, "seed": 0}
    assert null_quantiles(x, NUMBER, np.arange(9).repeat(10), **given) == {}
    assert "x" in null_quantiles(x, NUMBER, np.arange(10).repeat(9), **given)


def test_the_same_seed_gives_the_same_quantile():
    x, blocks = pd.Series(np.arange(600.0)), np.arange(20).repeat(30)
    assert quantile(x, blocks) == quantile(x, blocks)
    assert quantile(x, blocks) != quantile(x, blocks, seed=1)
