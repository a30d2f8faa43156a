"""The feature type `text`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.feature_types.column_reading import read_text
from mlops.feature_types.feature_type import FeatureType

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Text"]


class Text(FeatureType):
    """Words, other ones in each row."""

    name = "text"
    value = "text"
    json_schema = {"type": "string"}  # noqa: RUF012
    statistic = "wasserstein"
    is_text = True
    axis_title = "words"
    # Words are told apart by the locales of the machine: what runs here may not start there.
    why_not_compiled = "a column of text is not read the same on every machine once compiled"

    def read_json(self, value: Any) -> str:
        """Return text; null is empty."""
        if value is None:
            return ""
        if type(value) is str:
            return value
        raise ValueError(value)

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return words as str, "" where missing."""
        return read_text(column)

    def measured(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return how many words each value has."""
        return super().measured(column).map(lambda text: float(len(text.split())))

    def axis(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return how many words each value has, NaN where there is none."""
        empty = column.isna() | (column == "")
        return self.measured(column).where(~empty.reset_index(drop=True))
