from __future__ import annotations

import numpy as np
import pandas as pd

from mlops.monitoring.masking import without_sentinels

COLUMNS = {"x": "number", "k": "category"}


def table(seed=0, n=1000, *, shift=0.0, sentinel=999.0, count=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(shift, 1, n), "k": rng.choice(["a", "b"], n)})
    frame.loc[: count - 1, "x"] = sentinel
    return frame


def test_a_sentinel_of_the_reference_is_missing_in_both_and_named():
    found = without_sentinels(table(count=2), table(1, count=100), COLUMNS)
    assert found.reference["x"].isna().sum() == 2
    assert found.current["x"].isna().sum() == 100
    assert found.notes == {"x": "999 counts as missing: 0.20% of the reference, 10.00% of the window"}


def test_a_sentinel_that_only_the_window_has_is_found():
    found = without_sentinels(table(), table(1, sentinel=-1e9, count=3), COLUMNS)
    assert found.current["x"].isna().sum() == 3
    assert found.notes == {"x": "-1000000000 counts as missing: 0.00% of the reference, 0.30% of the window"}


def test_a_window_that_moved_far_has_no_sentinel():
    constant = table(1).assign(x=500.0)
    for moved in (table(1, shift=5000.0), constant, table(1, sentinel=500.0, count=600)):
        found = without_sentinels(table(), moved, COLUMNS)
        assert found.notes == {}
        pd.testing.assert_frame_equal(found.current, moved)


def test_columns_that_the_window_lacks_or_that_hold_words_are_left_as_they_are():
    words = table(1).assign(x="big")
    assert without_sentinels(table(count=2), words, COLUMNS).current["x"].eq("big").all()
    assert without_sentinels(table(count=2), table().drop(columns="x"), COLUMNS).notes == {}
    empty = table().head(0)
    assert without_sentinels(table(count=2), empty, COLUMNS).notes == {
        "x": "999 counts as missing: 0.20% of the reference, none of the window"
    }
