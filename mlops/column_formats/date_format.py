"""Days and moments as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mlops.column_formats.column_format import ColumnFormat

if TYPE_CHECKING:
    import pandas as pd

    from mlops.feature_types import FeatureType

__all__ = ["DateFormat"]


@dataclass(frozen=True)
class DateFormat(ColumnFormat):
    """How the days and moments of a column are written.

    Parameters
    ----------
    pattern
        In the words of `strptime`: ``%d-%b-%Y``.
    """

    name: ClassVar[str] = "date"

    pattern: str = "%Y-%m-%d"

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str) or "%" not in self.pattern:
            raise ValueError("a pattern such as %d-%b-%Y")

    def suits(self, type: FeatureType | None) -> bool:
        """Return whether a type's values are moments; a column without a type may be the event time."""
        return type is None or type.is_moment

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return times in UTC; what is none in this format stays text."""
        import pandas as pd

        times = pd.to_datetime(column, format=self.pattern, utc=True, errors="coerce")
        if times.notna().equals(column.notna()):
            return pd.Series(times)
        return pd.Series(times.astype(object).where(times.notna(), column))

    @classmethod
    def of_params(cls, value: Any) -> Self | None:
        """Return the format that a pattern means."""
        if isinstance(value, str):
            return cls(value)
        return super().of_params(value)

    def to_params(self) -> Any:
        """Return the pattern."""
        return self.pattern
