"""Three plums as a person's table has them: of mixed order, zones and gaps, and with a column too many."""

from __future__ import annotations

import pandas as pd
import pytest

from mlops.schema import Schema

SCHEMA = Schema(
    features={"size": "number", "colour": "category", "wet": "boolean"},
    target="ripe",
    task="binary",
    time="picked",
    key="plum",
)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plum": [3, 1, 2],
            "picked": ["2013-02-01T00:00:00Z", "2013-01-05T10:00:00Z", "2013-01-05T09:00:00+01:00"],
            "size": [1, 2, 3],
            "colour": ["red", None, "blue"],
            "wet": [True, None, False],
            "ripe": [True, None, False],
            "note": "kept out",
        }
    )
