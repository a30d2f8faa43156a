"""A known table in many ways of writing is read back with the same values, or a column of it is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks.written_tables import SEED, Style, by_ingest, by_init, draw

POINTS_IN_QUOTES = 1637
"""A draw of prices as "20.620" in JSON: that the point separates no thousands, only other columns tell."""


@pytest.mark.parametrize("number", [*range(24), POINTS_IN_QUOTES])
def test_a_table_is_read_back_with_its_values_or_a_column_is_named(tmp_path: Path, number: int) -> None:
    variant = draw(np.random.default_rng([SEED, number]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = (by_ingest if number % 2 else by_init)(variant, tmp_path)
    assert not outcome.startswith("WRONG"), (variant.told, outcome)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(",", "."), "-1,234.50"),
        (Style(".", ",", " kr"), "-1.234,50 kr"),
        (Style("", ".", "$", "()"), "($1234.50)"),
        (Style("'", ".", "", "1-"), "1'234.50-"),
        (Style("", ".", "", "\u2212", 2, is_fixed=False), "\u22121234.5"),
    ],
)
def test_a_style_writes_a_number_as_people_do(style: Style, text: str) -> None:
    assert style.write(-1234.5) == text
