from __future__ import annotations

import numpy as np
import pytest

from mlops.stats.overrepresented import Cell, overrepresented

ANY = {"level": 0.01, "min_chosen": 1, "min_lift": 1.0}


def cells_of(groups: np.ndarray, chosen: np.ndarray) -> list[Cell]:
    return [
        Cell(int(inside.sum()), int(chosen[inside].sum()), len(chosen), int(chosen.sum()))
        for column in groups
        for value in np.unique(column)
        for inside in (column == value,)
    ]


def test_the_chance_is_that_of_fishers_exact_test() -> None:
    # 3 of the 4 in the cell, 1 of the 4 outside: (C(4,3) C(4,1) + C(4,4) C(4,0)) / C(8,4)
    assert np.exp(Cell(4, 3, 8, 4).log_chance) == pytest.approx(17 / 70)
    assert Cell(4, 0, 8, 4).log_chance == pytest.approx(0.0)


def test_rows_chosen_at_random_are_called_overrepresented_as_rarely_as_the_level() -> None:
    drawn = np.random.default_rng(20130106)
    alarms = 0
    for _ in range(150):
        groups = drawn.integers(0, 5, (4, 200))
        alarms += bool(overrepresented(cells_of(groups, drawn.random(200) < 0.1), **ANY))
    assert alarms <= 150 * 0.01 + 2.5  # two standard errors


def test_what_is_chosen_more_often_is_returned_the_least_likely_first() -> None:
    cells = [Cell(100, 50, 1000, 60), Cell(100, 6, 1000, 60), Cell(50, 30, 1000, 60)]
    assert [number for number, _ in overrepresented(cells, **ANY)] == [0, 2]
    assert overrepresented(cells, level=0.01, min_chosen=40, min_lift=1.0)[0][0] == 0
    assert overrepresented(cells, level=0.01, min_chosen=51, min_lift=1.0) == []
    assert overrepresented([Cell(500, 60, 1000, 80)], level=0.01, min_chosen=1, min_lift=4.0) == []
    assert overrepresented([Cell(500, 60, 1000, 80)], level=0.01, min_chosen=1, min_lift=2.0) != []
