"""Which line of a CSV holds the names of its columns: often, but not always, the first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlops.errors import DataError, shown

__all__ = ["Header", "Record", "find_header", "is_number", "refuse_headless", "refuse_repeated"]

_NUMBER = re.compile(r"\s*[+-]?(\d[\d.,' ]*|\.\d+)([eE][+-]?\d+)?\s*%?\s*")
_MISSING = ("na", "n/a", "nan", "none", "null", "nil", "missing", "unknown", "inf", "(null)", "<na>", r"\n")
_SHOWN = 40
_FEW = 5
"""Fewer lines of data do not tell names from values."""


@dataclass(frozen=True)
class Record:
    """The values of a line, or of several where a value in quotes holds a line end.

    Parameters
    ----------
    first, last
        The lines, the file's first being 1.
    """

    values: tuple[str, ...]
    first: int
    last: int

    @property
    def quoted(self) -> str:
        """What it begins with, in quotes."""
        text = " ".join(" ".join(self.filled).split())
        return f'"{text[:_SHOWN]}…"' if len(text) > _SHOWN else f'"{text}"'

    @property
    def filled(self) -> list[str]:
        """Those of the values that hold something."""
        return [value for value in self.values if value.strip()]


@dataclass(frozen=True)
class Header:
    """The names of a CSV's columns, and where they stand.

    Parameters
    ----------
    names
        Without what pads them. A column without a name has "".
    last
        The last line that belongs to them.
    skipped
        What stands above them, as titles and comments.
    place
        Where it is among the records.
    padded
        Whether spaces around names were left out.
    """

    names: tuple[str, ...] = ()
    last: int = 0
    skipped: tuple[Record, ...] = ()
    place: int = 0
    padded: bool = False


def find_header(records: Sequence[Record]) -> Header:
    """Find the names of the columns: in the first line, unless that is certainly a title.

    A title or a comment is a line with one value, where the lines of the table have more; below such lines
    stands one with a name for each column. Else the first line holds the names.

    Parameters
    ----------
    records
        The first of the file, none of them blank.
    """
    if not records:
        return Header()
    first = records[0]
    usual = Counter(len(record.values) for record in records[1:] or records).most_common(1)[0][0]
    skipped = 0
    while skipped < len(records) - 1 and usual > 1 and len(records[skipped].filled) <= 1:
        skipped += 1
    candidate = records[skipped]
    if skipped and not (len(candidate.values) == usual and _are_names(candidate.values)):
        skipped, candidate = 0, first
    bare = [value.strip("\ufeff") for value in candidate.values]
    names = [value.strip() for value in bare]
    padded = names != bare
    while len(names) > 1 and not names[-1]:  # a separator at the end, or a column without a name and a value
        names.pop()
    return Header(tuple(names), candidate.last, tuple(records[:skipped]), skipped, padded)


def _are_names(values: Sequence[str]) -> bool:
    names = [value.strip() for value in values]
    while names and not names[-1]:
        names.pop()
    inner = names[1:] if names and not names[0] else names  # an index has no name
    return bool(inner) and all(inner) and len(set(names)) == len(names) and not any(map(is_number, inner))


def is_number(text: str) -> bool:
    """Return whether text looks like a number, also as people write one."""
    return bool(_NUMBER.fullmatch(text))


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Refuse a table two of whose columns have one name.

    Raises
    ------
    DataError
        Names them.
    """
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        raise DataError(
            f"{where} has more than one column {shown(twice)}.", remedy="Give each column a unique name."
        )


def refuse_headless(header: Header, records: Sequence[Record], where: str) -> None:
    """Refuse a table without names, with names in more than one line, or with the names again.

    Raises
    ------
    DataError
        Names the line.
    """
    names, line = header.names, records[header.place]
    below = records[header.place + 1 :]
    if any(not len(record.filled) <= len(names) <= len(record.values) for record in below):
        return  # which is refused by itself
    again = [record for record in below if record.values[: len(names)] == line.values[: len(names)]]
    values = [record for record in below if record not in again]
    columns = [[each.values[place].strip() for each in values] for place in range(len(names))]
    numeric = [place for place, column in enumerate(columns) if _are_numbers(column[1:])]
    if len(values) >= _FEW and _looks_like_data(names, columns, numeric):
        raise DataError(
            f"{where} has no names for its columns: line {line.first}, {line.quoted}, looks like data.",
            remedy="Put a line with the names of the columns above it.",
        )
    if again and len(names) > 1:
        raise DataError(
            f"{where}: line {again[0].first} holds the names of the columns again.",
            remedy="Delete that line; where files were joined, give each by itself.",
        )
    units = [columns[place][0] for place in numeric]
    if len(values) >= _FEW and len(units) > 1 and all(map(_is_unit, units)):
        raise DataError(
            f"{where}: line {values[0].first}, {values[0].quoted}, holds units or more names, not values.",
            remedy="Delete that line: one line holds the names, the next ones the values.",
        )


def _is_unit(text: str) -> bool:
    letters = any(letter.isalpha() or letter in "%°" for letter in text)
    return letters and not is_number(text) and text.lower() not in _MISSING


def _are_numbers(values: Sequence[str]) -> bool:
    filled = [value for value in values if value]
    return bool(filled) and all(map(is_number, filled))


def _looks_like_data(names: Sequence[str], columns: Sequence[Sequence[str]], numeric: Sequence[int]) -> bool:
    """Return whether names are like the values below them.

    They are where they are numbers wherever the values are, unless they may be years or positions, which
    are names; or where there are no numbers and each name is a value of its column.
    """
    numeric = [place for place in numeric if is_number(columns[place][0])]
    if not numeric:
        return len(names) > 1 and all(name in values for name, values in zip(names, columns, strict=True))
    return all(is_number(names[place]) for place in numeric) and not _are_positions(
        [names[place] for place in numeric]
    )


def _are_positions(names: Sequence[str]) -> bool:
    """Return whether numbers may be names: years, positions, or several that ascend."""
    if not all(re.fullmatch(r"\d+(\.\d+)?", name) for name in names):
        return False
    numbers = [float(name) for name in names]
    steps = {b - a for a, b in pairwise(numbers)}
    if all(name.isdigit() for name in names) and steps <= {1.0}:
        return True
    return len(names) > 2 and min(steps) > 0
