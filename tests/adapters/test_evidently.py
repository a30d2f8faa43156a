from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from mlops.errors import TooFewRowsError
from mlops.stats.distance import distances

# Evidently and what it imports warn of their own deprecations on import.
with warnings.catch_warnings(action="ignore"):
    from mlops.adapters import evidently

COLUMNS = {
    "few": "number", "many": "number", "large": "number", "constant": "number",
    "carrier": "category", "tail": "category", "online": "boolean", "remark": "text",
    "prediction": "number",
}  # fmt: skip


def table(seed, n, shift=0.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "few": rng.integers(0, 7, n).astype(float),
            "many": rng.normal(shift, 1, n),
            "large": 1e9 + rng.normal(shift, 1, n),
            "constant": 3.0 + shift,
            "carrier": rng.choice(["AA", "B6", "UA", "ZZ"][: 3 + (shift > 0)], n),
            # Left to itself, Evidently takes so many names for text.
            "tail": [f"N{number}" for number in rng.integers(0, 10 * n, n)],
            "online": rng.random(n) < 0.3 + shift / 4,
            "remark": ["word " * count for count in rng.poisson(3 + shift, n)],
            "prediction": rng.beta(2, 5, n),
        },
        index=rng.permutation(n),
    )
    frame["online"] = frame["online"].astype(object)
    frame.loc[rng.random(n) < 0.1, ["many", "carrier", "online"]] = [np.nan, None, None]
    frame.iloc[0, 1] = np.inf
    return frame


@pytest.mark.parametrize("shift", [0.0, 0.7])
@pytest.mark.parametrize("rows", [40, 900])
def test_statistics_are_those_that_thresholds_are_learnt_from(shift, rows):
    reference, current = table(0, 700), table(1, rows, shift)
    theirs, ours = evidently.statistics(reference, current, COLUMNS), distances(reference, current, COLUMNS)
    assert list(theirs) == list(COLUMNS)
    assert theirs == pytest.approx(ours, rel=1e-6, abs=1e-6)


def test_column_without_values_is_left_out_and_the_others_measured():
    reference, current = table(0, 100), table(1, 100)
    current["many"], reference["online"] = np.nan, None
    assert set(evidently.statistics(reference, current, COLUMNS)) == set(COLUMNS) - {"many", "online"}


def test_nothing_to_measure_is_no_statistic():
    empty = table(0, 100).iloc[:0]
    assert evidently.statistics(empty, table(1, 100), COLUMNS) == {}


def test_frames_are_left_as_they_were():
    reference, current = table(0, 100), table(1, 100)
    before = current.copy()
    evidently.statistics(reference, current, COLUMNS)
    pd.testing.assert_frame_equal(current, before)


def test_report_is_one_page_that_says_what_it_leaves_out(tmp_path):
    reference, current = table(0, 300), table(1, 300, 0.7)
    current["few"] = np.nan
    page = tmp_path / "reports" / "drift.html"
    left_out = evidently.write_report(reference, current, COLUMNS, page, thresholds={"many": 0.2}, sample=200)
    assert left_out == ["few"]
    text = page.read_text()
    assert "Left out, for want of values on one side: few." in text
    assert "carrier" in text


def test_the_page_shows_the_value_and_the_threshold_that_decided(tmp_path):
    """Not those of the rows that it draws, which are a sample."""
    reference, current = table(0, 300), table(1, 300, 0.7)
    page = tmp_path / "drift.html"
    decided = {"many": 0.123456, "carrier": 0.234567}
    limits = {"many": 0.345678, "carrier": 0.1}
    columns = {name: COLUMNS[name] for name in decided}
    evidently.write_report(reference, current, columns, page, values=decided, thresholds=limits, sample=50)
    text = page.read_text()
    assert "0.123456" in text
    assert "0.234567" in text
    assert "Wasserstein distance (robust)" in text
    evidently.write_report(reference, current, columns, page, thresholds=limits, sample=50)
    assert "0.123456" not in page.read_text()


def test_report_of_nothing_is_refused(tmp_path):
    with pytest.raises(TooFewRowsError):
        evidently.write_report(table(0, 9), table(1, 9).iloc[:0], COLUMNS, tmp_path / "drift.html")
