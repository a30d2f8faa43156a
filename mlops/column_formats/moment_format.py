"""What the formats of moments do alike, and those that keep a moment as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.column_formats.column_format import ColumnFormat
from mlops.feature_types.spellings import beside_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops.feature_types import FeatureType

__all__ = ["CountedFormat", "MomentFormat"]


class MomentFormat(ColumnFormat):
    """How a column's moments are written."""

    def suits(self, type: FeatureType | None) -> bool:
        """Return whether a type's values are moments; a column without a type may be the event time."""
        return type is None or type.is_moment


class CountedFormat(MomentFormat):
    """Moments as numbers: a count from some day on."""

    @property
    def reads_numbers(self) -> bool:
        """Whether numbers are read, too."""
        return True

    def days_of(self, numbers: pd.Series[Any]) -> tuple[str, str]:
        """Return the first and the last day of a column, as a person reads them."""
        first, last = self.read(numbers.sort_values().iloc[[0, -1]])
        return f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"

    @staticmethod
    def _times(
        column: pd.Series[Any],
        real: np.ndarray[Any, np.dtype[np.bool_]],
        micros: np.ndarray[Any, np.dtype[np.int64]],
    ) -> pd.Series[Any]:
        """Return times in UTC, and what the column holds where there is none.

        Parameters
        ----------
        real
            The rows that hold a moment, shape (n_rows,).
        micros
            Of those the microseconds since 1970, in order.
        """
        import numpy as np
        import pandas as pd

        whole = np.full(len(column), np.iinfo("int64").min)
        whole[real] = micros
        times = pd.Series(whole.view("datetime64[us]"), index=column.index).dt.tz_localize("UTC")
        return beside_text(times, column)
