"""The text of a table's columns, gathered over all of its rows in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.column_formats import ColumnText

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TextValues"]

_DISTINCT = 10_000
"""Distinct texts of a column that are kept; of more, those that are shaped as none before."""
_SHAPES = 500
"""A column of more shapes than that, digits being alike, is words."""
_LONGEST = 80
"""A longer text is words."""
_DIGITS = str.maketrans("123456789", "0" * 9)
_CODE = r"\s*0\d+\s*"
_MAYBE_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*"
"""A number whose points may separate thousands."""


@dataclass
class _Column:
    rows: int = 0
    numbers: int = 0
    decimals: int = 0
    ungrouped: int = 0
    codes: int = 0
    example: str = ""
    values: dict[str, int] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)
    is_whole: bool = True

    def take(self, column: pd.Series[Any]) -> None:
        import pandas as pd

        text = column.dropna()
        self.rows += len(text)
        numbers = pd.to_numeric(text, errors="coerce").to_numpy(float, na_value=np.nan)
        plain = np.isfinite(numbers)
        if (
            self.decimals and self.ungrouped
        ):  # once a column is one of plain numbers, no more is asked of them
            self.numbers += int(plain.sum())
        elif plain.any():
            self._count(text[plain], numbers[plain])
        if not plain.all():
            self._keep(text[~plain])

    def _count(self, text: pd.Series[Any], numbers: NDArray[np.float64]) -> None:
        """Count plain numbers; once some have decimals, the points of others are no riddle."""
        self.numbers += len(text)
        self.example = self.example or text.iloc[0]
        pointed = text.str.contains(".", regex=False).to_numpy(bool)
        whole = text[~pointed]
        self.codes += int(whole.str.fullmatch(_CODE).sum()) if len(whole) else 0
        if not self.decimals:
            maybe = text[pointed].str.fullmatch(_MAYBE_THOUSANDS).to_numpy(bool)
            self.decimals += int((~maybe).sum())
            self.ungrouped += int((np.abs(numbers[~pointed]) >= 1000).sum())
            self._keep(text[pointed][maybe])
        else:
            self.ungrouped += int((np.abs(numbers) >= 1000).sum())

    def _keep(self, text: pd.Series[Any]) -> None:
        if len(self.shapes) > _SHAPES:
            return
        counts = text.value_counts(sort=False)
        for value, rows in zip(counts.index.astype(str).tolist(), counts.tolist(), strict=True):
            if value in self.values:
                self.values[value] += rows
            elif len(value) > _LONGEST:
                self.is_whole = False
            elif len(self.values) < _DISTINCT or self._is_new(value):
                self.values[value] = rows
            else:
                self.is_whole = False

    def _is_new(self, value: str) -> bool:
        """Return whether no value before was shaped so."""
        if not self.shapes:
            self.shapes = {each.translate(_DIGITS) for each in self.values}
        shape = value.translate(_DIGITS)
        if shape in self.shapes or len(self.shapes) > _SHAPES:
            return False
        self.shapes.add(shape)
        return True


class TextValues:
    """The text in the columns of a table that comes in pieces.

    Parameters
    ----------
    separator
        Of the CSV it is; None of a file that has types.
    """

    def __init__(self, separator: str | None = ",") -> None:
        self._separator = separator
        self._columns: dict[str, _Column] = {}

    def take(self, chunk: pd.DataFrame) -> None:
        """Gather the text of some rows."""
        self.take_columns({str(name): column for name, column in chunk.items()})

    def take_columns(self, columns: Mapping[str, pd.Series[Any]]) -> None:
        """Gather the text of some rows, of some columns."""
        for name, column in columns.items():
            if column.dtype != object and column.dtype.name not in ("string", "str"):
                continue
            if column.dtype != object:  # which holds text and what is missing, and nothing else
                if column.notna().any():
                    self._columns.setdefault(name, _Column()).take(column)
                continue
            is_text = np.fromiter((isinstance(value, str) for value in column), bool, len(column))
            if is_text.any():
                text = column if is_text.all() else column[is_text]
                self._columns.setdefault(name, _Column()).take(text.astype(object))

    def columns(self) -> Mapping[str, ColumnText]:
        """Return the columns that hold text, by name."""
        return {
            name: ColumnText(
                name, each.rows, each.numbers, each.decimals, each.values, each.ungrouped, each.codes,
                each.example, self._separator, each.is_whole,
            )
            for name, each in self._columns.items()
        }  # fmt: skip
