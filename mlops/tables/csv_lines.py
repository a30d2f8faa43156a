"""The lines of a CSV: each has a value for every name, and every quote that opens is closed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LineCheck", "LineFault", "Quoting", "without_escapes"]

_NEWLINE = 10
_LONGEST = 1 << 24
"""Bytes of the longest record; a quote that is not closed within them was not meant to be one."""
_SHOWN = 40
_ESCAPED = re.compile(r'(\\+)"')
_ESCAPED_BYTES = re.compile(_ESCAPED.pattern.encode())


@dataclass(frozen=True)
class Quoting:
    r"""How values that contain the separator are written.

    Parameters
    ----------
    mark
        What they are enclosed in.
    escaped
        A quote within a value is written ``\"``, as by Spark and MySQL, where others double it.
    spaced
        Spaces after a separator are no part of the value.
    """

    mark: str = '"'
    escaped: bool = False
    spaced: bool = False


@dataclass(frozen=True)
class LineFault:
    """What is wrong with a line; the file's first is 1."""

    line: int
    problem: str
    remedy: str


def without_escapes(text: str) -> str:
    r"""Return text with quotes doubled that were written ``\"``; a backslash before others stays."""
    return _ESCAPED.sub(lambda run: "\\" * (len(run[1]) // 2) + '"' * (1 + len(run[1]) % 2), text)


def _bytes_without_escapes(text: bytes) -> bytes:
    return _ESCAPED_BYTES.sub(lambda run: b"\\" * (len(run[1]) // 2) + b'"' * (1 + len(run[1]) % 2), text)


class _Records(NamedTuple):
    """Where records begin and end, at their line's end, and how many values each has."""

    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    values: NDArray[np.intp]


class LineCheck:
    """Check the lines of a CSV that comes in pieces of UTF-8, or of another code that contains ASCII.

    Parameters
    ----------
    names
        How many columns have a name. What a line has beyond them must be empty.
    header
        How many lines there are down to the names.

    Attributes
    ----------
    width
        How many values the longest line so far has.
    """

    def __init__(self, separator: str, quoting: Quoting, *, names: int, header: int) -> None:
        self.width = names
        self._names, self._header = names, header
        self._separator, self._mark = separator.encode(), quoting.mark.encode()
        self._escaped = quoting.escaped
        self._spaces = b" *" if quoting.spaced else b""
        self._field = self._pattern()
        self._held = self._rest = b""
        self._lines = 0

    def take(self, piece: bytes) -> LineFault | None:
        """Return the first fault of the lines that this piece completes."""
        text = self._held + piece
        # What follows them decides what they are.
        cut = len(text.rstrip(b"\r\\" if self._escaped else b"\r"))
        self._held = text[cut:]
        return self._take(self._rest + self._plain(text[:cut]))

    def end(self) -> LineFault | None:
        """Return the fault of what is left after the last piece; the last line needs no line end."""
        text = self._rest + self._plain(self._held)
        if not text:
            return None
        fault = self._take(text if text.endswith(b"\n") else text + b"\n", final=True)
        return self._never_closed() if fault is None and self._rest else fault

    def _plain(self, text: bytes) -> bytes:
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return _bytes_without_escapes(text) if self._escaped and b"\\" in text else text

    def _take(self, text: bytes, *, final: bool = False) -> LineFault | None:
        while self._lines < self._header:
            _, newline, rest = text.partition(b"\n")
            if not newline:
                self._rest = text
                return None
            text, self._lines = rest, self._lines + 1
        records = self._records(text)
        if isinstance(records, LineFault):
            return records
        if fault := self._fault(text, records, final=final):
            return fault
        cut = int(records.ends[-1]) + 1 if len(records.ends) else 0
        self._lines += text.count(b"\n", 0, cut)
        self._rest = text[cut:]
        return self._never_closed() if len(self._rest) > _LONGEST else None

    def _records(self, text: bytes) -> _Records | LineFault:
        letters = np.frombuffer(text, np.uint8)
        ends, separators = letters == _NEWLINE, letters == self._separator[0]
        # In the middle of a value a quote is a letter, as of inches.
        if self._mark in text and self._opens(text):
            quotes = letters == self._mark[0]
            if not self._enclose(letters, np.flatnonzero(quotes)):
                return self._one_by_one(text)
            # The sum wraps around at an even number.
            outside = np.cumsum(quotes, dtype=np.uint8) % 2 == 0
            ends, separators = ends & outside, separators & outside
        last = np.flatnonzero(ends)
        before = np.searchsorted(np.flatnonzero(separators), last)
        starts = np.concatenate([np.zeros(min(1, len(last)), np.intp), last[:-1] + 1])
        return _Records(starts, last, np.diff(before, prepend=0) + 1)

    def _enclose(self, letters: NDArray[np.uint8], quotes: NDArray[np.intp]) -> bool:
        """Return whether each quote begins or ends a value, or is doubled."""
        opening, closing = quotes[::2], quotes[1::2]
        beside = np.zeros(256, bool)
        beside[[self._separator[0], _NEWLINE, self._mark[0]]] = True
        before = letters[opening[opening > 0] - 1]
        after = letters[closing[closing < len(letters) - 1] + 1]
        return bool(beside[before].all() and beside[after].all())

    def _opens(self, text: bytes) -> bool:
        """Return whether a quote may begin a value."""
        if self._spaces:
            return self._mark in text
        begins = (self._separator + self._mark, b"\n" + self._mark)
        return text.startswith(self._mark) or any(begin in text for begin in begins)

    def _one_by_one(self, text: bytes) -> _Records | LineFault:
        """Find the records of text with quotes inside its values, or spaces around quotes."""
        found: list[tuple[int, int, int]] = []
        start, fault = 0, None
        while (newline := text.find(b"\n", start)) >= 0:
            end, values = self._record(text, start, newline)
            if not values:
                fault = self._within_a_value(text, start, end)
                break  # or it ends in a later piece
            found.append((start, end, values))
            start = end + 1
        columns = zip(*found, strict=True) if found else ((), (), ())
        records = _Records(*(np.array(column, dtype=np.intp) for column in columns))
        return records if fault is None else self._fault(text, records, final=False) or fault

    def _record(self, text: bytes, start: int, newline: int) -> tuple[int, int]:
        """Return a record's end and how many values it has; without an end its odd value's place, and 0."""
        if not self._opens(text[start:newline]):
            return newline, text.count(self._separator, start, newline) + 1
        place, values = start, 0
        while field := self._field.match(text, place):
            place, values = field.end(), values + 1
            if field[1] == b"\n":
                return place - 1, values
        return place, 0

    def _pattern(self) -> re.Pattern[bytes]:
        mark, separator = re.escape(self._mark), re.escape(self._separator)
        quoted = self._spaces + b"%b[^%b]*(?:%b%b[^%b]*)*%b" % ((mark,) * 6)
        self._closed = re.compile(quoted)
        other = self._spaces + b"(?:[^%b%b\n][^%b\n]*)?" % (mark, separator, separator)
        return re.compile(b"(?:%b *|%b)(%b|\n)" % (quoted, other, separator))

    def _fault(self, text: bytes, records: _Records, *, final: bool) -> LineFault | None:
        starts, ends, values = records
        # A line that holds nothing is none. In a table of one column all lines have one value.
        for place in np.flatnonzero((values != self._names) & (ends > starts)):
            line, count = text[starts[place] : ends[place]], int(values[place])
            if not line.strip(b" \t" if self._separator != b"\t" else b" "):
                continue
            if count > self._names and line.endswith(self._separator * (count - self._names)):
                self.width = max(self.width, count)
                continue
            number = self._lines + text.count(b"\n", 0, int(starts[place])) + 1
            return self._uneven(number, line, count, last=final and place == len(values) - 1)
        return None

    def _uneven(self, number: int, line: bytes, count: int, *, last: bool) -> LineFault:
        until = number + line.count(b"\n")
        where = (
            f"line {number}"
            if until == number
            else f"line {number}, with a quote that closes in line {until},"
        )
        values = "1 value" if count == 1 else f"{count} values"
        names = "1 name" if self._names == 1 else f"{self._names} names"
        begin = b" ".join(line.split()).decode("utf-8", "replace")
        begin = begin[:_SHOWN] + "…" * (len(begin) > _SHOWN)
        problem = f"{where} has {values}, but line {self._header} has {names}: {begin}"
        if count > self._names:
            remedy = "Correct that line; a value that contains the separator must be quoted."
            if number <= self._header + 2:
                remedy += " The first line must hold a name for each column: delete a title above it."
        elif last:
            problem = f"the last line, {number}, has {values}, but line {self._header} has {names}: {begin}"
            remedy = "Complete or delete that line; where the file was cut off, get all of it."
        else:
            remedy = "Complete or delete that line."
        return LineFault(number, problem, remedy)

    def _never_closed(self) -> LineFault:
        number = self._lines + 1
        if self._mark not in self._rest:
            return LineFault(number, f"line {number} is longer than 16 MB", "Check what the file is.")
        return LineFault(
            number,
            f"line {number} opens a quote that is never closed",
            "Close or delete that quote; where the file was cut off, get all of it.",
        )

    def _within_a_value(self, text: bytes, start: int, place: int) -> LineFault | None:
        """Return the fault of a value that goes on after its closing quote; None where none closes it."""
        closing = self._closed.match(text, place)
        if closing is None or not text[closing.end() :].strip(b" "):
            return None
        number = self._lines + text.count(b"\n", 0, start) + 1
        until = self._lines + text.count(b"\n", 0, closing.end()) + 1
        mark = self._mark.decode()
        return LineFault(
            number,
            f"line {number} has a value that goes on after its closing quote"
            + (f" in line {until}" if until != number else ""),
            f"Close each quote that opens; write a quote within a value twice, as {mark * 2}.",
        )
