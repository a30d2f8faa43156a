from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.tables.total_rows import TotalRows


def notes(frame: pd.DataFrame, *, piece: int = 7) -> list[str]:
    totals = TotalRows()
    for begin in range(0, len(frame), piece):
        totals.take(frame.iloc[begin : begin + piece])
    return totals.notes("t.csv")


def shops(rows: int = 20) -> pd.DataFrame:
    drawn = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "shop": drawn.choice(["north", "south"], rows),
            "sales": drawn.normal(100, 20, rows).round(2),
            "units": drawn.integers(1, 9, rows),
        }
    )


@pytest.mark.parametrize("word", ["Total", "GRAND TOTAL", " Sum: ", "Subtotal", "Summe", "Gesamt"])
def test_a_row_that_says_total_is_named(word: str) -> None:
    frame = pd.concat([shops(), pd.DataFrame({"shop": [word], "sales": [2000.0]})], ignore_index=True)
    assert notes(frame) == [
        f"row 21 of t.csv looks like a total of other rows: its shop says {word.strip()!r}. If it is one, "
        "take it out of the table"
    ]


def test_a_last_row_of_the_sums_of_those_above_is_named() -> None:
    frame = shops()
    sums = pd.DataFrame({"shop": [None], "sales": [frame["sales"].sum()], "units": [frame["units"].sum()]})
    (note,) = notes(pd.concat([frame, sums], ignore_index=True))
    assert note.startswith(
        "row 21 of t.csv looks like a total of other rows: its sales and units are the sums"
    )


def test_a_table_without_one_names_none() -> None:
    assert notes(shops()) == []
    brands = pd.DataFrame({"fuel": ["Total", "Shell"] * 10, "price": np.arange(20) + 0.5})
    assert notes(brands) == []  # so many rows of the word are a category
    assert notes(pd.DataFrame({"x": [0.0] * 30, "y": [0] * 30})) == []
    assert notes(pd.DataFrame({"x": [1.0, 2.0, 3.0]})) == []
