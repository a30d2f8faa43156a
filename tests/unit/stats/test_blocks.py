from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from mlops.schema import Schema
from mlops.stats.blocks import blocks_of


def test_blocks_are_days_else_keys_else_rows():
    frame = pd.DataFrame(
        {
            "t": pd.to_datetime(["2013-01-01T00:00Z", "2013-01-01T23:59Z", "2013-01-02T00:00Z"]),
            "k": list("aba"),
        }
    )

    def schema(**roles):
        return Schema({"x": "number"}, "y", "binary", **roles)

    size = timedelta(days=1)
    assert list(np.diff(blocks_of(frame, schema(time="t", key="k"), size))) == [0, 1]
    assert list(blocks_of(frame, schema(key="k"), size)) == [0, 1, 0]
    assert list(blocks_of(frame, schema(), size)) == [0, 1, 2]
