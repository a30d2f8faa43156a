from __future__ import annotations

import numpy as np
import pytest

from mlops.monitoring.units import Readings, factor_of, unit_change

DAYS = 30


def dated(values, days=DAYS, first=0, *, ordered=True):
    """Values in order over so many days."""
    blocks = first + np.arange(len(values)) * days // len(values)
    return Readings.of(np.asarray(values, float), blocks, ordered=ordered)


def drawn(seed, rows=1500, mean=20.0, spread=5.0):
    return np.random.default_rng(seed).normal(mean, spread, rows)


@pytest.fixture
def old():
    return dated(drawn(0, 4500), 90, first=-90)


def changed(values, convert, first, last=DAYS):
    day = np.arange(len(values)) * DAYS // len(values)
    return dated(np.where((day >= first) & (day < last), convert(values), values))


def cents(values):
    return 100 * values


def fahrenheit(values):
    return values * 9 / 5 + 32


def celsius(values):
    return (values - 32) * 5 / 9


@pytest.mark.parametrize("convert", [cents, fahrenheit, celsius, lambda values: values / 1000])
def test_the_day_of_a_change_is_named(old, convert):
    change = unit_change(old, changed(drawn(1), convert, 12))
    assert (change.first, change.last) == (12, None)


def test_a_change_before_the_window_has_no_day(old):
    change = unit_change(old, changed(drawn(1), fahrenheit, 0))
    assert change.unit.title == "degrees Fahrenheit, in the reference Celsius"
    assert (change.first, change.last) == (None, None)


def test_the_day_may_lie_before_the_window(old):
    """What was served since the reference moved with a season: the window alone proves nothing."""
    season = drawn(1, 4500) - np.linspace(0, 9, 4500)
    day = np.arange(4500) * 90 // 4500
    served = np.where(day >= 12, fahrenheit(season), season)
    before, window = dated(served[:3000], 60), dated(served[3000:], 30, first=60)
    assert unit_change(old, window) is None
    change = unit_change(old, window, lambda: before)
    assert (change.first, change.last) == (12, None)
    assert unit_change(old, dated(season[3000:], first=60), lambda: before) is None


def test_a_break_that_was_mended_has_its_last_day(old):
    change = unit_change(old, changed(drawn(1), cents, 4, 9))
    assert (change.first, change.last) == (4, 8)


def test_rows_need_no_order(old):
    shuffled = np.random.default_rng(2).permutation(cents(drawn(1)))
    assert unit_change(dated(drawn(0), ordered=False), dated(shuffled, ordered=False)).unit.slope == 100


@pytest.mark.parametrize("factor", [1.5, 2, 5, 10, 30, 50, 137, 200])
def test_growth_is_no_unit(old, factor):
    assert unit_change(old, changed(drawn(1), lambda values: values * factor, 12)) is None
    assert unit_change(old, changed(drawn(1), lambda values: values * factor, 0)) is None


def test_growth_that_goes_through_a_hundredfold_is_no_unit(old):
    growing = drawn(1) * np.geomspace(80, 125, 1500)
    assert unit_change(old, dated(growing)) is None
    assert unit_change(old, dated(drawn(1) * 100)) is not None


def test_a_shift_into_the_range_of_fahrenheit_is_no_unit(old):
    assert unit_change(old, dated(drawn(1) + 48)) is None
    assert unit_change(old, dated(drawn(1) * 3.4)) is None


def test_whole_degrees_are_no_others(old):
    rounded = dated(np.round(drawn(0, 4500)), 90, first=-90)
    assert unit_change(rounded, dated(np.round(fahrenheit(drawn(1))))) is not None
    assert unit_change(old, dated(np.round(fahrenheit(drawn(1))))) is not None


def test_negative_values_about_zero_have_a_unit(old):
    about = dated(drawn(0, 4500, mean=0), 90, first=-90)
    for convert in (cents, lambda values: values / 100):
        assert unit_change(about, changed(drawn(1, mean=0), convert, 12)).first == 12


def test_sentinels_hide_nothing_and_are_nothing(old):
    values = drawn(1)
    values[::50] = 99_999
    assert unit_change(old, dated(values)) is None
    assert unit_change(old, dated(np.where(values == 99_999, values, cents(values)))).unit.slope == 100


@pytest.mark.parametrize("rows", [0, 1, 19, 30])
def test_few_rows_are_no_error(old, rows):
    assert unit_change(old, dated(drawn(1, rows))) is None


def test_thirty_rows_prove_a_hundredfold(old):
    assert unit_change(old, dated(cents(drawn(1, 30)))) is not None


def test_constants_and_nulls_have_no_unit(old):
    constant = dated(np.ones(900))
    assert unit_change(constant, dated(np.full(900, 100.0))) is None
    assert unit_change(old, dated(np.full(900, 2000.0))) is None
    assert unit_change(old, dated(np.full(900, np.nan))) is None


def test_few_distinct_values_have_a_unit():
    rng = np.random.default_rng(0)
    ages, later = rng.choice([1, 2, 3, 5], 2000), rng.choice([1, 2, 3, 5], 1000)
    assert unit_change(dated(ages), dated(100 * later)) is not None
    assert unit_change(dated(ages), dated(137 * later)) is None


def test_a_change_that_nothing_but_chance_made_is_none(old):
    assert not any(unit_change(old, dated(drawn(seed))) for seed in range(1, 30))


@pytest.mark.parametrize("factor", [1.6, 10, 0.25])
def test_quantiles_of_one_factor_are_named(factor):
    assert factor_of(dated(drawn(0)), dated(factor * drawn(1))) == pytest.approx(factor, rel=0.1)


def test_a_shift_and_a_small_factor_have_none():
    assert factor_of(dated(drawn(0)), dated(drawn(1) + 50)) is None
    assert factor_of(dated(drawn(0)), dated(drawn(1) * 1.3)) is None
    assert factor_of(dated(np.ones(9)), dated(np.ones(9))) is None
