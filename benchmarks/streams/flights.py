"""The flights out of New York City in 2013, as models/flights/source.py reads them."""

from __future__ import annotations

import importlib.util

import pandas as pd

from mlops.scaffold.template import template

__all__ = ["flights"]


def flights(*months: int) -> pd.DataFrame:
    """Load these months of the flights."""
    spec = importlib.util.spec_from_file_location("flights", template() / "models" / "flights" / "source.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    frame: pd.DataFrame = source.load(months=months)
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    return frame
