"""The text of a column, over all rows of a table, and what its way of writing was found to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.column_formats.column_format import ColumnFormat

__all__ = ["ColumnText", "Finding"]


@dataclass(frozen=True)
class ColumnText:
    """The values of a column of text that no feature type reads as they are.

    Parameters
    ----------
    rows
        Rows of the table in which it holds text.
    numbers
        Those of them that are plain numbers, as 12 or -3.5e4.
    decimals
        Of the plain numbers some whose points cannot separate thousands, as 12.5; 0 where there are none.
    values
        Distinct texts, with the rows that hold each: those that are no plain numbers and, where there are
        no `decimals`, plain numbers whose points may separate thousands, as 1.706. Of many the first, and
        of the others those that are shaped as none before; see `is_whole`.
    ungrouped
        Plain numbers of 1000 and more with nothing between their digits, in rows.
    codes
        Plain numbers that begin with a zero, as 00123, in rows.
    exponents
        Distinct whole numbers with an exponent that has no sign, as 12E4: of many the first.
    signed
        Plain numbers with a sign somewhere, as -3 or 1e-05, in rows: no codes have one.
    widths
        The least and the greatest length of the whole numbers, and of all codes.
    code
        The first that begins with a zero.

    Of a column with `decimals` or `signed` no codes are counted once that is known: it is one of numbers.
    example
        The first plain number.
    separator
        Of the CSV that the column stands in; None of a file that has types.
    is_whole
        Whether `values` has all of them; else the column has more than can be kept.
    """

    name: str
    rows: int
    numbers: int
    decimals: int
    values: Mapping[str, int]
    ungrouped: int = 0
    codes: int = 0
    example: str = ""
    separator: str | None = ","
    is_whole: bool = True
    exponents: Mapping[str, int] = field(default_factory=dict)
    signed: int = 0
    widths: frozenset[int] = frozenset()
    code: str = ""
    summaries: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the kinds of format made of it, each under its name: not to be made again for every column."""


@dataclass(frozen=True)
class Finding:
    """How a column was found to be written.

    Parameters
    ----------
    format
        None where it is not certain: then a person is asked.
    sentence
        What it holds and for what it is taken, for a person, with an example.
    remedy
        Where it is not certain, what to write in `data.formats`, or in the table.
    example
        A value of the column.
    likely
        Where it is not certain, the format that it is, if it is one.
    is_open
        Whether the values may be one thing or another: the table is not read before a person says which.
    is_code
        Whether the values are text for certain, though each could be read as a number.
    """

    column: str
    format: ColumnFormat | None
    sentence: str
    remedy: str = ""
    example: str = ""
    is_open: bool = False
    likely: ColumnFormat | None = None
    is_code: bool = False
