"""What stands for a missing value, where a cell is not empty: `?`, `nil`, -999."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlops.column_formats.column_text import ColumnText

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MissingValues", "Word", "find_missing", "is_missing_word", "without_missing"]

Word = str | float

_WORDS = frozenset(
    [
        *("?", "??", "???", "-", "--", "---", "–", "—", ".", "..", "...", "…", "*", "**", "***", "/", ":"),
        *("na", "n.a.", "n.a", "n/a", "nan", "nil", "none", "null", "void", "missing", "unknown", "unk"),
        *("undefined", "empty", "blank", "nk", "n/k", "nd", "n.d.", "n.d", "n/d", "tbd", "tba", "no data"),
        *(
            "not available",
            "not applicable",
            "not known",
            "<na>",
            "<null>",
            "<none>",
            "[null]",
            r"\n",
            r"\na",
        ),
        *(
            "(null)",
            "(none)",
            "(nil)",
            "(na)",
            "(n/a)",
            "(missing)",
            "(unknown)",
            "(blank)",
            "(empty)",
            "(?)",
        ),
        *("(-)", "#n/a", "#na", "#null!", "#value!", "#div/0!", "#ref!", "#name?", "#num!"),
        *("0000-00-00", "0000-00-00 00:00:00"),
    ]
)
"""Words that people and programs write for a value that is not there; letters are alike in any case."""
_ISO = re.compile(r"\s*\d{4}[-/]\d\d[-/]\d\d([T ].*)?")
_BOOLEANS = ("true", "false")
_NEARLY_ALL = 0.95
_SOME = 0.2
"""So many of a column's values must be numbers or dates, that the word is none of its own."""
_CODES = 0.01


@dataclass(frozen=True)
class MissingValues:
    """The words and numbers that stand for a missing value in a column."""

    values: tuple[Word, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values)

    def hold(self, value: Any) -> bool:
        """Return whether one value, of a request or a table, stands for a missing one."""
        if isinstance(value, str):
            return value.strip() in self._words or (bool(self._numbers) and _number(value) in self._numbers)
        return isinstance(value, int | float) and not isinstance(value, bool) and value in self._numbers

    def without(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a column with what stands for a missing value as missing."""
        import pandas as pd
        from pandas.api import types

        if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
            return column.mask(column.isin(list(self._numbers))) if self._numbers else column
        if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
            return column
        try:
            distinct = pd.Series(column.dropna().unique(), dtype=object)
        except TypeError:  # nested values
            return column
        standing = distinct[distinct.map(self.hold).astype(bool)]
        return column.mask(column.isin(standing)) if len(standing) else column

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(value for value in self.values if isinstance(value, str))

    @cached_property
    def _numbers(self) -> frozenset[float]:
        return frozenset(float(value) for value in self.values if not isinstance(value, str))


def is_missing_word(text: str) -> bool:
    """Return whether people write a text for a value that is not there."""
    return text.strip().lower() in _WORDS


def find_missing(
    file: Mapping[str, ColumnText], looks_read: Callable[[ColumnText, Mapping[str, ColumnText]], bool]
) -> dict[str, dict[str, int]]:
    """Return the words that stand for a missing value, by column, with the rows that hold each.

    A word in a column of categories is one of them: only among numbers, dates or booleans is it none.

    Parameters
    ----------
    file
        The columns of text, by name, over all of the file's rows.
    looks_read
        Tells of a column of text, and its file, whether a format of numbers or dates reads it.
    """
    found: dict[str, dict[str, int]] = {}
    for name, column in file.items():
        words = [text for text in column.values if is_missing_word(text)]
        if not words:
            continue
        rest = _without(column, words)
        if rest.rows >= max(1, _SOME * column.rows) and (
            _are_plain(rest) or looks_read(rest, {**file, name: rest})
        ):
            counts: dict[str, int] = {}
            for text in words:
                counts[text.strip()] = counts.get(text.strip(), 0) + column.values[text]
            found[name] = counts
    return found


def without_missing(
    file: Mapping[str, ColumnText], missing: Mapping[str, Sequence[Word]]
) -> Mapping[str, ColumnText]:
    """Return the columns of a file as if what stands for a missing value were empty cells."""
    return {
        name: _without(column, [text for text in column.values if MissingValues(tuple(words)).hold(text)])
        if (words := missing.get(name))
        else column
        for name, column in file.items()
    }


def _without(column: ColumnText, words: Iterable[str]) -> ColumnText:
    left_out = set(words)
    rows = sum(column.values[word] for word in left_out)
    values = {text: count for text, count in column.values.items() if text not in left_out}
    return replace(column, rows=column.rows - rows, values=values, summaries={})


def _are_plain(column: ColumnText) -> bool:
    """Return whether nearly all values are plain numbers and no codes, or ISO dates, or booleans."""
    if column.numbers >= _NEARLY_ALL * column.rows:
        return column.codes < _CODES * column.rows
    plain = [text for text in column.values if _ISO.fullmatch(text) or text.strip().lower() in _BOOLEANS]
    known = sum(column.values.values())  # of very many different values, some
    return known > 0 and sum(column.values[text] for text in plain) >= _NEARLY_ALL * (known + column.numbers)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
