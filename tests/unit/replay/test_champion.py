from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.replay.champion import RememberedNulls
from mlops.stats import chance
from mlops.stats.chance import null_quantiles, shape_of

COLUMNS = {"x": "number"}
HOW: dict[str, Any] = {"tails": {"x": 0.05}, "ordered": True, "seed": 3}
BLOCKS = np.repeat(np.arange(40), 25)
REFERENCE = pd.DataFrame({"x": np.random.default_rng(0).normal(size=1000)})


def test_windows_of_one_shape_have_one_null_and_others_another() -> None:
    shapes = [shape_of(BLOCKS, window_blocks=10, window_rows=rows) for rows in (240, 249, 100)]
    nulls = [
        null_quantiles(REFERENCE, COLUMNS, BLOCKS, window_blocks=10, window_rows=rows, **HOW)
        for rows in (240, 249, 100)
    ]
    assert shapes[0] == shapes[1] != shapes[2]
    assert nulls[0] == nulls[1] != nulls[2]


@pytest.mark.parametrize("blocks", [np.arange(1000), BLOCKS, np.repeat([0, 1], 500)])
def test_the_shape_of_many_single_rows_as_of_a_few_days_is_within_the_reference(blocks: Any) -> None:
    shape = shape_of(blocks, window_blocks=500, window_rows=500)
    assert 1 <= shape.drawn <= min(len(np.unique(blocks)), 200) / 2
    assert shape.parts >= 1


def test_what_is_remembered_is_what_would_be_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    nulls, count = RememberedNulls(), 0
    plain = chance.null_quantiles

    def counted(*args: Any, **how: Any) -> dict[str, float]:
        nonlocal count
        count += 1
        return plain(*args, **how)

    monkeypatch.setattr("mlops.replay.champion.null_quantiles", counted)
    sizes = [(10, 240), (10, 249), (10, 100), (5, 240), (10, 240)]
    for window_blocks, rows in sizes:
        size = {"window_blocks": window_blocks, "window_rows": rows}
        assert nulls(REFERENCE, COLUMNS, BLOCKS, **size, **HOW) == plain(
            REFERENCE, COLUMNS, BLOCKS, **size, **HOW
        )
    assert count == 3
