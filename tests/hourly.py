"""Rows of an hour each, for whatever parts a table by its times or by its keys."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from mlops.schema import Schema

TIMED = Schema({"x": "number"}, "y", "binary", time="at")
KEYED = Schema({"x": "number"}, "y", "binary", key="id")
START = pd.Timestamp("2013-01-01", tz="UTC")


def hours(offsets: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"x": 0.0, "y": True, "at": [START + pd.Timedelta(hours=h) for h in offsets]})


def days(n: float) -> timedelta:
    return timedelta(days=n)
