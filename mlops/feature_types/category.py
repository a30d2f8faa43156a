"""The feature type `category`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.feature_types.column_reading import read_text
from mlops.feature_types.feature_type import FeatureType
from mlops.feature_types.spellings import code_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Category"]


class Category(FeatureType):
    """A name out of a list: a code, a place, a sort."""

    name = "category"
    value = "text"
    json_schema = {"type": "string"}  # noqa: RUF012
    statistic = "jensenshannon"
    is_text = True
    has_vocabulary = True

    def read_json(self, value: Any) -> str:
        """Return text; null is empty."""
        if value is None:
            return ""
        if type(value) is str:
            return value
        raise ValueError(value)

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return names as str, each spelled one way whatever its type; "" where missing."""
        return read_text(column)

    def read_text(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return names with whole numbers spelled one way."""
        return column.map({value: code_of(value) for value in column.dropna().unique()})
