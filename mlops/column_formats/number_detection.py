"""How the numbers of a column are written, found over all of its values and its file's other columns.

Pure. A convention is taken for certain where the column's values can be read in no other way, or where its
file's other columns leave one; else a person is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mlops.column_formats.column_text import ColumnText
from mlops.column_formats.number_spelling import CONVENTIONS, Spelling, is_plain
from mlops.column_formats.number_units import PERCENT, is_currency, is_unit
from mlops.errors import shown

__all__ = ["Found", "find"]

_MOSTLY = 0.5
"""A column of fewer numbers is none of numbers."""
_NEARLY_ALL = 0.95
"""Of typed text, numbers in quotes, nearly all must be numbers."""

_MISSING = 3
"""So many words may stand for missing values."""

Convention = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """How the numbers of a column are written, as far as it is certain.

    Parameters
    ----------
    example
        A value that shows it.
    doubt
        Why it is not certain; empty where it is.
    ways
        Where it is not, how it may be written: what to write in `data.formats`.
    is_open
        Whether the values may be one number or another.
    """

    example: str
    thousands: str = ""
    decimal: str = "."
    unit: str = ""
    negative: str = "-"
    doubt: str = ""
    ways: tuple[Mapping[str, str], ...] = ()
    is_open: bool = False


@dataclass(frozen=True)
class _Column:
    """The numbers among a column's values."""

    text: ColumnText

    @cached_property
    def spelled(self) -> Mapping[str, Spelling]:
        return {
            text: spelling
            for text in self.text.values
            if (spelling := Spelling.of(text)) and any(spelling.fits(*each) for each in CONVENTIONS)
        }

    @cached_property
    def conventions(self) -> list[Convention]:
        """Those that all numbers can be written in, each reading other values than those before it."""
        different: dict[tuple[float, ...], Convention] = {}
        for thousands, decimal in CONVENTIONS:
            if self.text.decimals and decimal != ".":
                continue
            if all(each.fits(thousands, decimal) for each in self.spelled.values()):
                values = tuple(each.value(thousands, decimal) for each in self.spelled.values())
                different.setdefault(values, (thousands, decimal))
        return list(different.values())

    @cached_property
    def share(self) -> float:
        """The share of rows that hold numbers, plainly written or otherwise."""
        others = sum(self.text.values[text] for text in self.others)
        return 1 - others / max(1, self.text.rows) if self.text.is_whole else self._sampled_share

    @cached_property
    def others(self) -> list[str]:
        """The values that are no numbers, the most frequent first."""
        others = [text for text in self.text.values if text not in self.spelled]
        return sorted(others, key=self.text.values.__getitem__, reverse=True)

    @property
    def mark(self) -> str | None:
        """The decimal separator that the column by itself proves; None where it proves none."""
        if self.text.decimals:
            return "."
        if self.share < _MOSTLY or len(self.conventions) != 1 or not self.spelled:
            return None
        thousands, decimal = self.conventions[0]
        marked = any(decimal in each.digits for each in self.spelled.values())
        return decimal if marked or thousands in (",", ".") else None

    @property
    def _sampled_share(self) -> float:
        known = sum(self.text.values.values())
        spelled = sum(rows for text, rows in self.text.values.items() if text in self.spelled)
        unknown = self.text.rows - self.text.numbers
        return (self.text.numbers + unknown * spelled / max(1, known)) / max(1, self.text.rows)


def find(text: ColumnText, file: Mapping[str, ColumnText]) -> Found | None:
    """Return how a column's numbers are written; None where plainly, or where it is not one of numbers.

    Parameters
    ----------
    file
        The columns of the same file: where one proves its decimal separator, the others have it, too.
    """
    column = _of(text)
    if column.share < _MOSTLY:
        return None
    if not column.spelled:
        return _quoted(column)
    example = _example(column)
    if (read := _unit(column)) is None:
        return None
    unit, doubt = read
    if doubt:
        return doubt
    if not column.conventions:
        return _mixed(column)
    if len(column.conventions) == 1:
        convention: Convention | None = column.conventions[0]
    else:
        convention = _settled(column, _marks(file, text.name))
        if convention is None:
            ways = tuple(_way(each, unit) for each in column.conventions)
            return Found(example, doubt=_both(column, example), ways=ways, is_open=True)
    assert convention is not None
    if words := _words(column):
        return Found(example, doubt=words, ways=(_way(convention, unit),))
    if _is_name(column, convention):
        return Found(example, doubt="they may be names after all", ways=(_way(convention, unit),))
    negatives = {each.negative for each in column.spelled.values()}
    if {"()", "1-"} <= negatives:
        return Found(example, doubt="negative numbers are written in two ways", ways=(), is_open=True)
    negative = next((each for each in ("()", "1-") if each in negatives), "-")
    if (
        negative == "()"
        and not text.numbers
        and all(each.negative == "()" for each in column.spelled.values())
    ):
        way = {**_way(convention, unit), "negative": "()"}
        return Found(example, doubt="every value is in parentheses, as if below zero", ways=(way,))
    thousands, decimal = _used(column, convention, _marks(file, text.name))
    if _is_plain(column, thousands, decimal, unit, negative):
        return Found(example) if text.separator is None and not text.codes else None
    return Found(example, thousands, decimal, unit, negative)


def _of(text: ColumnText) -> _Column:
    """What was made of a column already: each column of a file is asked for its separators by the others."""
    column: _Column = text.summaries.setdefault("number", _Column(text))
    return column


def _example(column: _Column) -> str:
    """The value that shows the most of how the column is written, and among those a short one."""

    def shows(text: str) -> tuple[int, int, int]:
        spelling = column.spelled[text]
        marks = {sign for sign in spelling.digits if not sign.isdigit()}
        isnt_zero = any(digit in spelling.digits for digit in "123456789")
        shown_marks = len(marks) + bool(spelling.unit) + (spelling.negative in ("()", "1-"))
        return shown_marks, isnt_zero, -len(text)

    return max(column.spelled, key=shows)


def _quoted(column: _Column) -> Found | None:
    """Numbers that a typed file has as text: they are meant as numbers for certain if they have decimals."""
    text = column.text
    if text.separator is not None or not text.numbers or text.codes or _words(column):
        return None
    if text.decimals:
        return Found(text.example)
    return Found(text.example, doubt="they may be names after all", ways=({"decimal": "."},))


def _unit(column: _Column) -> tuple[str, Found | None] | None:
    """Return the unit of a column, and a doubt; None where the words beside its digits are no units."""
    units = Counter(each.unit for each in column.spelled.values())
    named = [unit for unit in units if unit]
    if not named:
        return "", None
    example = next(text for text, each in column.spelled.items() if each.unit)
    if len(named) > 1 and not all(is_currency(each) or is_unit(each) for each in named):
        return None
    if len(named) > 1:
        several = shown(
            [text for unit in named[:3] for text, each in column.spelled.items() if each.unit == unit][:3]
        )
        return "", Found(example, doubt=f"they are of several units: {several}")
    unit = named[0]
    bare = units[""] or column.text.numbers
    way = {**_way(column.conventions[0] if column.conventions else ("", "."), unit)}
    if is_currency(unit):
        return unit, None
    leads = any(each.leads for each in column.spelled.values() if each.unit)
    if leads:
        return None
    if not is_unit(unit):
        return unit, Found(example, doubt=f"{unit} may be no unit", ways=(way,))
    if bare:
        return unit, Found(example, doubt=f"some are without {unit}", ways=(way,), is_open=unit == PERCENT)
    return unit, None


def _mixed(column: _Column) -> Found:
    """Values that no one convention reads: two of them are shown."""
    first = _example(column)
    fitting = [each for each in CONVENTIONS if column.spelled[first].fits(*each)]
    other = next(
        (text for text, each in column.spelled.items() if not any(each.fits(*way) for way in fitting)),
        column.text.example if column.text.decimals else first,
    )
    return Found(first, doubt=f"{other} is written in another way", is_open=True)


def _settled(column: _Column, marks: set[str]) -> Convention | None:
    """Return the convention that the rest of the file, or the column as a whole, leaves of several."""
    by_decimal = {decimal: (thousands, decimal) for thousands, decimal in column.conventions}
    if len(marks) == 1:
        return by_decimal.get(marks.pop())
    if marks:
        return None
    grouped = next((each for each in column.conventions if each[0] in (",", ".")), None)
    if column.text.separator not in (None, ","):  # where decimals are written with a comma, too
        return None
    if grouped is not None and grouped[0] == ",":
        return grouped if not column.text.ungrouped else None
    pointed = sum(column.text.values[text] for text in column.spelled)
    # Beside whole numbers below 1000 alone, a point before three digits may be one between thousands.
    return ("", ".") if column.text.ungrouped or pointed == column.text.numbers else None


def _marks(file: Mapping[str, ColumnText], name: str) -> set[str]:
    return {mark for other, text in file.items() if other != name and (mark := _of(text).mark)}


def _words(column: _Column) -> str:
    """Return what speaks against numbers: values that are none, unless they are few or always the same."""
    if 1 - column.share <= 1 - _NEARLY_ALL or len(column.others) <= _MISSING:
        return ""
    return f"{1 - column.share:.1%} of the values, as {shown([column.others[0]])}, are none"


def _is_name(column: _Column, convention: Convention) -> bool:
    """Return whether the groups of digits look like those of a phone number or an id: all alike."""
    thousands, decimal = convention
    shapes = {re.sub(r"\d", "0", each.digits) for each in column.spelled.values()}
    if column.text.numbers or len(shapes) != 1 or thousands in ("", ",") or len(column.spelled) == 1:
        return False
    shape = shapes.pop()
    return shape.count(thousands) > 1 and decimal not in shape


def _used(column: _Column, convention: Convention, marks: set[str]) -> Convention:
    """Return of a convention what the column makes use of, and of the decimals what it leaves open."""
    thousands, decimal = convention
    digits = "".join(each.digits for each in column.spelled.values())
    if thousands not in digits:
        thousands = ""
    if decimal in digits or column.text.decimals or thousands in (",", "."):
        return thousands, decimal
    return thousands, marks.pop() if len(marks) == 1 and thousands else "."


def _is_plain(column: _Column, thousands: str, decimal: str, unit: str, negative: str) -> bool:
    """Return whether every value is read as it is."""
    if thousands or decimal != "." or unit or negative != "-":
        return False
    return all(is_plain(text) for text in column.spelled)


def _way(convention: Convention, unit: str) -> Mapping[str, str]:
    thousands, decimal = convention
    way = {"thousands": thousands} if thousands else {}
    way |= {"decimal": decimal} if decimal != "." or not thousands else {}
    return {**way, "unit": unit} if unit else way


def _both(column: _Column, example: str) -> str:
    values = [f"{column.spelled[example].value(*each):.15g}" for each in column.conventions]
    return f"{example} may be {' or '.join(values)}"
