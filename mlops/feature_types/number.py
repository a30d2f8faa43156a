"""The feature type `number`."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from mlops.feature_types.cells import is_number
from mlops.feature_types.column_reading import filled, refuse
from mlops.feature_types.feature_type import FeatureType
from mlops.feature_types.spellings import no_words, numbers_or_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Number"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal", "empty")


class Number(FeatureType):
    """A measure or a count."""

    name = "number"
    value = "a finite number"
    json_schema = {"type": "number"}  # noqa: RUF012
    statistic = "wasserstein"
    bound = float
    arrow = "double"

    def read_json(self, value: Any) -> float:
        """Return a finite number; null is NaN."""
        if value is None:
            return nan
        # By exact type, because bool is a subclass of int and true is no number.
        if (type(value) is float or type(value) is int) and isfinite(value):
            return float(value)
        raise ValueError(value)

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return numbers as float64, NaN where missing."""
        import numpy as np
        from pandas.api import types

        column = filled(column)
        if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
            if types.infer_dtype(column, skipna=True) not in _NUMERIC:
                refuse(column, column.notna() & ~column.map(is_number).astype(bool), "a number")
            column = column.astype("object")
        numbers = column.astype("float64")
        refuse(column, np.isinf(numbers), self.value)
        return numbers

    def read_text(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the numbers that text spells."""
        import pandas as pd

        read = pd.to_numeric(column, errors="coerce")
        if read.notna().equals(column.notna()):  # as nearly always, and then at once
            return read
        return numbers_or_text(no_words(column))
