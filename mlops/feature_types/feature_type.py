"""A feature type: what one column's values are, and how each part of the toolkit reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from mlops.feature_types.cells import spelled
from mlops.feature_types.spellings import no_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = ["Array", "FeatureType"]

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class FeatureType:
    """What the values of a column are. An instance holds nothing; there is one of each.

    A type of your own sets `name`, `value`, `json_schema` and `statistic`, and defines `read_json` and
    `read_column`; the rest follows from `is_text`, and is there to be defined otherwise.
    """

    name: ClassVar[str]
    """The word for it in params.yaml, contract.yaml and the bundle's schema.json."""
    value: ClassVar[str]
    """What one value must be, for messages: ``a finite number``."""
    json_schema: ClassVar[Mapping[str, Any]]
    """One value as requests hold it, in JSON Schema's words; that null is allowed goes without saying."""
    statistic: ClassVar[str | None]
    """The drift statistic of a column, see `mlops.stats.statistics`; None where it is not watched."""
    is_text: ClassVar[bool] = False
    """Whether its values reach a model as text; else as numbers."""
    has_vocabulary: ClassVar[bool] = False
    """Whether the values come again and can be listed: another one is news."""
    parts: ClassVar[tuple[str, ...]] = ()
    """What a value is taken apart into beside itself: inputs called ``<column>.<part>``, all numbers."""
    bound: ClassVar[type | None] = None
    """The type of the smallest and the largest value that a contract may set; None where it sets none."""
    arrow: ClassVar[str | None] = None
    """Arrow's name of the values' type where a file does not tell; None where it can be anything."""
    axis_title: ClassVar[str] = ""
    """What `axis` counts, where that is not the values themselves."""
    is_moment: ClassVar[bool] = False
    """Whether `axis` counts seconds since 1970."""
    why_not_compiled: ClassVar[str | None] = None
    """Why a model with such a column is not compiled; None where nothing speaks against it."""

    def read_json(self, value: Any) -> float | str:
        """Return a request's value as a model takes it: missing is NaN, or "" where it is text.

        Raises
        ------
        ValueError, OverflowError
            It is no value of this type.
        """
        raise NotImplementedError

    def read_column(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a column as the lake has it: float64 with NaN, or str with "", where missing.

        Parameters
        ----------
        column
            Values as a file has them, or as this returned them before.

        Raises
        ------
        UnusableValueError
            Some are no values of this type; the error holds which.
        """
        raise NotImplementedError

    def read_text(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text of a CSV's column as `read_column` takes it; what is no value stays text."""
        return column if self.is_text else no_words(column)

    def to_json(self, values: Iterable[Any]) -> list[Any]:
        """Return values of a read column as a request holds them, null where missing."""
        if self.is_text:
            return [value or None for value in values]
        return [None if value != value else value for value in values]

    def to_arrow(self, values: Sequence[Any]) -> pa.Array:
        """Return served values, also those of when the column was of another type, as they are read."""
        import pyarrow as pa

        if self.is_text:
            return pa.array(["" if value is None else _as_text(value) for value in values], pa.string())
        try:
            numbers = pa.array(values, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            numbers = pa.array([self._served(value) for value in values], pa.float64())
        return numbers.fill_null(nan)

    def to_inputs(self, column: pd.Series[Any]) -> Array:
        """Return a read column as `read_json` gives its values, shape (n_rows,)."""
        return column.to_numpy()

    def expand(self, values: Array) -> dict[str, Array]:
        """Return `parts` of values that `read_json` or `to_inputs` gave, each of shape (n_rows,)."""
        del values
        return {}

    def measured(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a column as its statistic takes it: numbers, NaN where missing, or str, "" where missing.

        What is no value of this type, as of before it was corrected, is missing.
        """
        import numpy as np
        import pandas as pd

        if self.is_text:
            words = column.astype(object).where(column.notna(), "")
            if pd.api.types.infer_dtype(words) not in ("string", "empty"):
                words = words.map(spelled)
            return words.astype(str).reset_index(drop=True)
        numbers = pd.to_numeric(column, errors="coerce").astype("float64").to_numpy(na_value=np.nan)
        return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))

    def axis(self, column: pd.Series[Any]) -> pd.Series[Any] | None:
        """Return the values on an axis, to tell their mean and quartiles; None where they are counted."""
        return None if self.has_vocabulary else self.measured(column)

    def _served(self, value: Any) -> float | None:
        try:
            return float(self.read_json(value))
        except (TypeError, ValueError, OverflowError):
            pass
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        return number if isfinite(number) else None

    def __repr__(self) -> str:
        return f"<feature type {self.name}>"


def _as_text(value: Any) -> str:
    """Return what was served as the text it names, also where the column was of no text then."""
    return value if type(value) is str else spelled(float(value))
