"""The dialect of a CSV file: its encoding, its separator, the names of its columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from mlops.errors import DataError, shown
from mlops.files import compression

__all__ = ["Dialect", "dialect_of", "refuse_repeated"]

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_LINES = 200
_STEP = 1 << 20


@dataclass(frozen=True)
class Dialect:
    """How to read a CSV file."""

    encoding: str
    separator: str
    names: tuple[str, ...]

    @property
    def note(self) -> str | None:
        """A note for the user about an unusual dialect, None for the usual one."""
        notes = [f"columns are separated by {_NAMES[self.separator]}"] if self.separator != "," else []
        if self.encoding == _WESTERN:
            notes.append(f"it is not UTF-8 and was read as {_WESTERN}: check its umlauts and accents")
        elif not self.encoding.startswith("utf-8"):
            notes.append(f"it is {self.encoding.upper()}")
        return "; ".join(notes) or None

    def text(self, file: IO[bytes]) -> io.TextIOWrapper:
        """Return the file's text; one that is no cp1252 either is read as far as it goes."""
        errors = "replace" if self.encoding == _WESTERN else "strict"
        return io.TextIOWrapper(file, encoding=self.encoding, errors=errors, newline="")


def dialect_of(path: Path) -> Dialect:
    """Sniff the dialect of a CSV file.

    All of it is read once, in bounded memory: its last letter may be the only one that is not UTF-8.

    Raises
    ------
    DataError
        It is not text, or two of its columns have one name.
    """
    with compression.opened(path) as file:
        encoding = _encoding(file, path)
    with compression.opened(path) as file:
        text = Dialect(encoding, ",", ()).text(file)
        lines = list(islice(text, _LINES))
        text.detach()
    rows = {separator: list(csv.reader(lines, delimiter=separator)) for separator in _SEPARATORS}
    separator = max(_SEPARATORS, key=lambda each: _evenness(rows[each]))
    names = next((row for row in rows[separator] if row), [])
    refuse_repeated(names, path.name)
    return Dialect(encoding, separator, tuple(names))


def refuse_repeated(names: list[str], where: str) -> None:
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


def _evenness(rows: list[list[str]]) -> tuple[float, int]:
    """Score a separator: the share of lines with as many fields as the first, then how many."""
    rows = [row for row in rows if row]
    if not rows or len(rows[0]) == 1:
        return 0.0, 0
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0])


def _encoding(file: IO[bytes], path: Path) -> str:
    head = file.read(_STEP)
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if b"\0" in head:
        raise DataError(
            f"{path} cannot be read as a table: it is not text.", remedy="Give a text file as .csv."
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while head:
            decoder.decode(head)
            head = file.read(_STEP)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _WESTERN
    return "utf-8"
