from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mlops.stats.chance import null_quantiles
from mlops.stats.distance import distances, prepared

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


def dependent(rho, *, seed=0, days=60, rows=20):
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=days + 50)
    for day in range(1, days + 50):
        effects[day] = rho * effects[day - 1] + np.sqrt(1 - rho**2) * effects[day]
    return pd.Series(effects[50:].repeat(rows) + rng.normal(size=days * rows)), np.arange(days).repeat(rows)


@pytest.mark.statistical
def test_days_that_resemble_their_neighbours_widen_the_threshold():
    size = {"window_blocks": 30, "window_rows": 600}
    calm, alike = (
        np.mean([quantile(*dependent(rho, seed=seed), ordered=True, **size) for seed in range(20)])
        for rho in (0.0, 0.8)
    )
    assert alike > 2 * calm


def test_without_an_order_they_do_not():
    """The negative control: the splits alone take days for exchangeable."""
    x, day = dependent(0.8)
    size = {"window_blocks": 30, "window_rows": 600}
    assert quantile(x, day, ordered=True, **size) > 1.5 * quantile(x, day, ordered=False, **size)


def test_the_smaller_the_tail_the_higher_the_threshold():
    x, day = dependent(0.3)
    found = [quantile(x, day, ordered=True, tails={"x": tail}) for tail in (0.2, 0.05, 0.01, 1e-3, 1e-6)]
    assert found == sorted(found)
    assert len(set(found)) == 5


AWKWARD = {
    "constant": pd.Series(np.full(600, 3.0)),
    "nearly constant": pd.Series(np.append(np.zeros(599), 1.0)),
    "missing": pd.Series(np.full(600, np.nan)),
    "one value": pd.Series([3.0, *[np.nan] * 599]),
    "few values": pd.Series(np.where(np.arange(600) % 40 == 0, np.arange(600.0), np.nan)),
    "huge": pd.Series(np.random.default_rng(0).standard_cauchy(600) * 1e300),
    "two": pd.Series(np.arange(600.0) % 2),
}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("column", AWKWARD.values(), ids=AWKWARD)
def test_whatever_a_column_holds_its_threshold_is_finite_or_missing(column, ordered):
    given = {"window_blocks": 10, "window_rows": 200, "tails": {"x": 0.01}, "ordered": ordered, "seed": 0}
    blocks = np.arange(20).repeat(30)
    for kind in ("number", "category"):
        ready = prepared(column.to_frame("x"), {"x": kind})
        found = null_quantiles(ready, {"x": kind}, blocks, **given)
        assert all(np.isfinite(value) and value >= 0 for value in found.values())
    assert ("x" in null_quantiles(column.to_frame("x"), NUMBER, blocks, **given)) == (
        bool(column.notna().sum() > 1)
    )


def test_a_thousand_categories_and_a_single_one_have_thresholds():
    names = pd.DataFrame({"x": np.random.default_rng(0).integers(0, 1000, 3000).astype(str), "y": "a"})
    given = {"window_blocks": 30, "window_rows": 500, "tails": {"x": 0.01, "y": 0.01}, "ordered": True}
    found = null_quantiles(
        names, {"x": "category", "y": "category"}, np.arange(60).repeat(50), seed=0, **given
    )
    assert 0.3 < found["x"] < 0.83
    assert found["y"] == 0
