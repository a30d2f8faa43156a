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
_EXPONENT = r"\s*\d+[eE]\d+\s*"
_SIGN = "[+-]"
_UNUSUAL = r"^\s*0\d|[eE+-]"
"""What shows a code, or that there are none."""
_MAYBE_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*"
"""A number whose points may separate thousands."""
_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_SOME = 100
"""Exponents of a column that are kept."""


@dataclass
class _Column:
    rows: int = 0
    numbers: int = 0
    decimals: int = 0
    ungrouped: int = 0
    codes: int = 0
    signed: int = 0
    example: str = ""
    code: str = ""
    exponents: dict[str, int] = field(default_factory=dict)
    widths: set[int] = field(default_factory=set)
    values: dict[str, int] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)
    is_whole: bool = True

    def take(self, text: pd.Series[Any], numbers: NDArray[np.float64] | None) -> None:
        """Take text, none of it missing, and the finite numbers it spells, where they are known."""
        self.rows += len(text)
        numbers = _numbers(text) if numbers is None else numbers
        plain = np.isfinite(numbers)
        if plain.all():
            self._count(text, numbers)
        else:
            if plain.any():
                self._count(text[plain], numbers[plain])
            self._keep(text[~plain])

    def _count(self, text: pd.Series[Any], numbers: NDArray[np.float64]) -> None:
        """Count plain numbers; once some have decimals, nothing else is a riddle."""
        self.numbers += len(text)
        self.example = self.example or text.iloc[0]
        if self.decimals:
            self.ungrouped += int((np.abs(numbers) >= 1000).sum())
            return
        pointed = text.str.contains(".", regex=False).to_numpy(bool)
        if pointed.any():
            maybe = text[pointed].str.fullmatch(_MAYBE_THOUSANDS).to_numpy(bool)
            self.decimals += int((~maybe).sum())
            if maybe.any():
                self._keep(text[pointed][maybe])
            text, numbers = text[~pointed], numbers[~pointed]
        self.ungrouped += int((np.abs(numbers) >= 1000).sum())
        if len(text) and not self.signed:
            self._count_codes(text, numbers)

    def _count_codes(self, text: pd.Series[Any], numbers: NDArray[np.float64]) -> None:
        """Count the codes among whole numbers, and what shows that there are none."""
        unusual = text.str.contains(_UNUSUAL, regex=True).to_numpy(bool)
        usual = numbers[~unusual]
        if len(usual):
            self.widths |= {len(f"{usual.min():.0f}"), len(f"{usual.max():.0f}")}
        if not unusual.any():
            return
        text = text[unusual]
        self.signed += int(text.str.contains(_SIGN, regex=True).sum())
        zeros = text[text.str.fullmatch(_CODE).to_numpy(bool)]
        exponents = text[text.str.fullmatch(_EXPONENT).to_numpy(bool)]
        for codes in (zeros, exponents):
            self.widths |= set(codes.str.strip().str.len().unique().tolist())
        self.codes += len(zeros)
        self.code = self.code or (zeros.iloc[0] if len(zeros) else "")
        for value in exponents.unique():
            if len(self.exponents) < _SOME:
                self.exponents[str(value)] = self.exponents.get(str(value), 0) + int(
                    (exponents == value).sum()
                )

    def _keep(self, text: pd.Series[Any]) -> None:
        if len(self.shapes) > _SHAPES:
            return
        if len(self.values) >= _DISTINCT:
            text = self._known_or_new(text)
        elif len(text) > _DISTINCT:
            self._keep(text.iloc[:_DISTINCT])
            self._keep(text.iloc[_DISTINCT:])
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

    def _known_or_new(self, text: pd.Series[Any]) -> pd.Series[Any]:
        """Return, of text beside more values than are kept, those that are kept and one of each new shape."""
        if not self.shapes:
            self.shapes = {each.translate(_DIGITS) for each in self.values}
        kept = text.isin(list(self.values)).to_numpy(bool, copy=True)
        shapes = text[~kept].str.replace("[1-9]", "0", regex=True)
        is_new = ~shapes.isin(list(self.shapes)).to_numpy(bool) & ~shapes.duplicated().to_numpy(bool)
        self.is_whole &= bool(is_new.all())
        kept[~kept] = is_new
        return text[kept]

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

    def take_columns(
        self,
        columns: Mapping[str, pd.Series[Any]],
        numbers: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        """Gather the text of some rows, of some columns.

        Parameters
        ----------
        numbers
            By column the finite numbers that its rows spell, of those where they are known.
        """
        for name, column in columns.items():
            if column.dtype != object and column.dtype.name not in ("string", "str"):
                continue
            is_text = column.notna().to_numpy(bool)
            if column.dtype == object:  # the others hold text and what is missing, and nothing else
                is_text = np.fromiter((isinstance(value, str) for value in column), bool, len(column))
            if is_text.any():
                text = column if is_text.all() else column[is_text]
                known = numbers.get(name) if numbers is not None else None
                if known is not None and not is_text.all():
                    known = known[is_text]
                self._columns.setdefault(name, _Column()).take(text, known)

    def columns(self) -> Mapping[str, ColumnText]:
        """Return the columns that hold text, by name."""
        return {
            name: ColumnText(
                name, each.rows, each.numbers, each.decimals, each.values, each.ungrouped, each.codes,
                each.example, self._separator, each.is_whole, each.exponents, each.signed,
                frozenset(each.widths), each.code,
            )
            for name, each in self._columns.items()
        }  # fmt: skip


def _numbers(text: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the finite numbers that text spells: most of it may be none, and takes long to be tried."""
    import pandas as pd

    numbers = np.full(len(text), np.nan)
    maybe = text.str.fullmatch(_NUMBER).to_numpy(bool)
    if maybe.any():
        numbers[maybe] = pd.to_numeric(text[maybe], errors="coerce").to_numpy(float, na_value=np.nan)
    return numbers
