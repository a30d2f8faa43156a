"""The feature type `boolean`."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan
from typing import TYPE_CHECKING, Any

from mlops.feature_types.column_reading import filled, refuse
from mlops.feature_types.feature_type import FeatureType
from mlops.feature_types.spellings import BOOLEANS, as_booleans, beside_text, no_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Boolean"]


class Boolean(FeatureType):
    """True or false; a model sees 1 or 0."""

    name = "boolean"
    value = "true or false"
    json_schema = {"type": "boolean"}  # noqa: RUF012
    statistic = "jensenshannon"
    arrow = "bool"

    def read_json(self, value: Any) -> float:
        """Return 1.0 for true and 0.0 for false; null is NaN."""
        if value is None:
            return nan
        if type(value) is bool:
            return float(value)
        raise ValueError(value)

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return booleans as float64, NaN where missing."""
        column = filled(column)
        refuse(column, column.notna() & ~column.isin([True, False]), self.value)
        return column.astype("object").astype("float64")

    def read_text(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the booleans that text spells, 0 and 1 among them."""
        import pandas as pd

        values = no_words(column)
        numbers = pd.to_numeric(values, errors="coerce").astype(object)
        return beside_text(
            values.map(BOOLEANS).where(values.isin(list(BOOLEANS)), as_booleans(numbers)), values
        )

    def to_json(self, values: Iterable[Any]) -> list[Any]:
        """Return true, false or null."""
        return [None if value != value else bool(value) for value in values]

    def axis(self, column: pd.Series[Any]) -> None:
        """Return nothing: two values are counted."""
        del column
