"""The feature type `date`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import nan
from typing import TYPE_CHECKING, Any

from mlops import moments
from mlops.feature_types.column_reading import filled, refuse
from mlops.feature_types.feature_type import Array, FeatureType

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Date", "read_times"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0


class Date(FeatureType):
    """A day or a moment, UTC; a model sees the days since 1970, and `parts`.

    month is 1 to 12, day 1 to 31, day_of_year 1 to 366, weekday 0 (Monday) to 6, hour from 0 up to 24. A
    column of dates moves on by itself, so it has no drift statistic: each window would have drifted.
    """

    name = "date"
    value = "a date such as 2013-07-04 or 2013-07-04T15:00:00Z"
    json_schema = {  # noqa: RUF012
        "type": "string",
        "description": "A date or a time, ISO 8601; UTC without an offset.",
    }
    statistic = None
    parts = ("month", "day", "day_of_year", "weekday", "hour")
    bound = datetime
    is_moment = True

    def read_json(self, value: Any) -> float:
        """Return the days since 1970 of ISO 8601's text, with their fraction; null is NaN."""
        if value is None:
            return nan
        if type(value) is not str:
            raise ValueError(value)
        return (moments.from_text(value) - _EPOCH).total_seconds() / _DAY

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return times in UTC, NaT where missing."""
        return read_times(column, optional=True)

    def to_json(self, values: Iterable[Any]) -> list[Any]:
        """Return ISO 8601's text, null where missing."""
        return [None if value != value else value.isoformat() for value in values]

    def to_arrow(self, values: Sequence[Any]) -> pa.Array:
        """Return times in UTC; what is no time, as of another type, is missing."""
        import pyarrow as pa

        return pa.array([_moment(value) for value in values], pa.timestamp("us", "UTC"))

    def to_inputs(self, column: pd.Series[Any]) -> Array:
        """Return the days since 1970, NaN where missing."""
        import numpy as np

        micros = column.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(micros), np.nan, micros.astype("int64") / 86_400e6)

    def expand(self, values: Array) -> dict[str, Array]:
        """Return month, day of it and of the year, weekday and hour of days since 1970."""
        import numpy as np

        known = np.isfinite(values)
        whole = np.floor(np.where(known, values, 0.0))
        days = whole.astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        day = (days - months).astype(int) + 1
        day_of_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
        # 1970 began on a Thursday. Seconds are whole before they are parts of an hour: 8:00 is 8.0.
        seconds = np.round((np.where(known, values, 0.0) - whole) * _DAY)
        numbers = (months.astype(int) % 12 + 1, day, day_of_year, (whole + 3) % 7, seconds / 3600)
        return {part: np.where(known, value, nan) for part, value in zip(self.parts, numbers, strict=True)}

    def axis(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the seconds since 1970, NaN where missing."""
        times = moments.to_times(column)
        seconds = times.astype("datetime64[us, UTC]").astype("int64") / 1e6
        return seconds.where(times.notna())


def read_times(column: pd.Series[Any], *, optional: bool = False) -> pd.Series[Any]:
    """Return times in UTC.

    Parameters
    ----------
    optional
        Whether a time may be missing, as NaT.

    Raises
    ------
    UnusableValueError
        Values are no times, or are missing.
    """
    import pandas as pd

    times = column = filled(column)
    if pd.api.types.is_numeric_dtype(column.dtype):  # a count since when, and of what?
        times = pd.Series(pd.NaT, index=column.index, dtype="datetime64[us, UTC]")
    elif not isinstance(column.dtype, pd.DatetimeTZDtype):
        times = moments.to_times(column)
    wrong = times.isna() & column.notna() if optional else times.isna()
    refuse(column, wrong, "a time such as 2013-07-04T15:00:00Z")
    return times.astype("datetime64[us, UTC]")


def _moment(value: Any) -> datetime | None:
    try:
        return moments.from_text(value)
    except (TypeError, ValueError):  # missing, or served as another type
        return None
