"""Text as people write it: padded, and in one case or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_format import ColumnFormat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TextFormat"]

_CASES = ("", "lower", "upper")


@dataclass(frozen=True)
class TextFormat(ColumnFormat):
    """What of a column's text tells no values apart.

    Parameters
    ----------
    strip
        Whether spaces before and behind a value are none of it.
    case
        In which case every value is read: ``lower``, ``upper``, or as it is.
    """

    name: ClassVar[str] = "text"
    is_text: ClassVar[bool] = True

    strip: bool = False
    case: str = ""

    def __post_init__(self) -> None:
        if type(self.strip) is not bool:
            raise ValueError("strip: true or false")
        if self.case not in _CASES:
            raise ValueError("case: lower or upper")

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text, stripped and in one case."""
        text = column.str.strip() if self.strip else column
        return getattr(text.str, self.case)() if self.case else text
