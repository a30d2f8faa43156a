from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.tables.sampling import spaced, take


def chunks(sizes: list[int]) -> list[pd.DataFrame]:
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [
        pd.DataFrame({"n": range(start, start + size)}) for start, size in zip(starts, sizes, strict=True)
    ]


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 50))
def test_every_kth_row_of_the_whole_is_kept_however_it_comes(sizes: list[int], most: int) -> None:
    sample = take(chunks(sizes), most=most)
    total = sum(sizes)
    assert sample.rows == total
    stride = 1
    while total > most * stride:
        stride *= 2
    kept = sample.frame["n"].tolist() if total else []
    assert set(kept) >= set(range(0, total, stride))
    assert kept == sorted(set(kept))
    assert len(kept) <= most + 101 + 2 * len(sizes)  # the others hold what those lack


@pytest.mark.parametrize("typed", [True, False])
def test_the_range_of_moments_is_that_of_all_rows(typed: bool) -> None:
    days = pd.date_range("2024-01-01", periods=100, freq="D", tz="UTC").to_series(index=range(100))
    written = days if typed else days.dt.strftime("%Y-%m-%d")
    table = pd.DataFrame(
        {"day": written.sample(frac=1, random_state=0), "size": range(100), "note": "2 days"}
    )
    sample = take([table[:30], table[30:]], most=10)
    first, last = sample.ranges["day"]
    assert (pd.Timestamp(first).day_of_year, pd.Timestamp(last).day_of_year) == (1, 100)
    assert set(sample.ranges) == {"day"}


@pytest.mark.parametrize("odd", ["unknown", "2024-99-99", 7, None])
def test_what_is_no_moment_does_not_count_in_the_range(odd: object) -> None:
    days = [f"2024-05-{day:02d}" for day in range(1, 31)] * 10
    sample = take([pd.DataFrame({"day": [*days, odd]}, dtype=object)], most=10)
    assert sample.ranges == {
        "day": (pd.Timestamp("2024-05-01", tz="UTC"), pd.Timestamp("2024-05-30", tz="UTC"))
    }


def test_what_spaced_rows_lack_is_in_the_sample_all_the_same() -> None:
    rows = 5000
    table = pd.DataFrame(
        {
            "id": [f"c{n // 2}" for n in range(rows)],  # each twice, in neighbouring rows
            "code": [f"k{n}" for n in range(rows)],
            "size": 1.0,
            "written": "2",
            "plan": "basic",
            "when": pd.Timestamp("2024-01-01"),
            "nested": [[1]] * rows,
        }
    )
    table.loc[3001, "size"], table.loc[3003, "written"], table.loc[4005, "plan"] = -7.5, "900", "odd"
    sample = take(
        [table[n : n + 700] for n in range(0, rows, 700)], most=100, watched=lambda name: name != "size"
    )
    assert (sample.frame["size"].min(), "900" in set(sample.frame["written"])) == (-7.5, True)
    assert set(sample.frame["plan"]) == {"basic", "odd"}
    assert sample.repeated == {"id", "written", "plan", "when", "nested"}
    assert len(sample.frame) < 400


@given(st.integers(0, 500), st.integers(1, 100))
def test_spaced_rows_reach_from_the_first_to_the_last(rows: int, most: int) -> None:
    found = spaced(rows, most=most).tolist()
    assert len(found) == len(set(found)) == min(rows, most)
    assert found == sorted(found)
    if most >= 2 and rows:
        assert (found[0], found[-1]) == (0, rows - 1)
