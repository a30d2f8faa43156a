"""Days that stand for none: 9999-12-31 for no end, 1900-01-01 for an unknown day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.errors import shown
from mlops.moments import to_times
from mlops.stats.sentinels import sentinels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAST_YEAR", "far_dates", "named_far"]

FIRST_YEAR, LAST_YEAR = 2, 9000
"""No row is of a year before or after."""
_DAY = 86_400e6


def far_dates(column: pd.Series[Any], raw: pd.Series[Any]) -> dict[str, int]:
    """Return dates far from all others that repeat, or at the end of the calendar, with their rows.

    Parameters
    ----------
    column, raw
        The column as it is read, and as it is written: so a date is spelled here.
    """
    import numpy as np

    times = to_times(column)
    micros = times.astype("datetime64[us, UTC]").astype("int64").to_numpy()
    days = np.where(times.notna(), np.floor(micros / _DAY), np.nan)
    beyond = (times.dt.year < FIRST_YEAR) | (times.dt.year >= LAST_YEAR)
    near = np.where(beyond.to_numpy(bool), np.nan, days)
    far = beyond.to_numpy(bool) | np.isin(near, sentinels(near))
    counts = raw[far].astype(str).value_counts()
    return {str(text): int(rows) for text, rows in counts.items()}


def named_far(name: str, far: dict[str, int]) -> str:
    """Return what to do about such dates, a sentence."""
    rows = shown([f"{text} in {count:,} rows" for text, count in far.items()])
    words = ", ".join(f'"{text}"' for text in list(far)[:3])
    return (
        f"{name} holds {rows}, far from its other dates; if that stands for a missing date, "
        f"write data.missing: {{{name}: [{words}]}}."
    )
