"""The dialect of a CSV file: its encoding, its separator, its quotes, the names of its columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from mlops.errors import DataError, shown
from mlops.files import compression
from mlops.tables.contents import recognize
from mlops.tables.csv_header import Header, Record, find_header, refuse_headless, refuse_repeated
from mlops.tables.csv_lines import LineCheck, LineFault, Quoting, without_escapes

__all__ = ["Dialect", "dialect_of"]

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "a space"}
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=([!-/:-@\[-`{-~\t ])"?[;,]*\s*', re.IGNORECASE)
"""The first line that tells Excel the separator."""
_SINGLE = re.compile(r"(^|[,;|\t])\s*'[^']*'\s*([,;|\t]|$)")
_LINES = 200
_STEP = 1 << 20
_MOSTLY = 0.5
_USUAL = Quoting()
_QUOTINGS = (
    Quoting(spaced=True),
    Quoting(escaped=True),
    Quoting(escaped=True, spaced=True),
    Quoting("'"),
    Quoting("'", spaced=True),
)
"""Unusual ways of quoting, each taken where the lines fit it and no usual one."""

# A value of more than 128 KB is read, as pandas reads it.
csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class Dialect:
    """How to read a CSV file.

    Parameters
    ----------
    names
        Of the columns; one without a name is called as pandas calls it, ``Unnamed: 2``.
    width
        How many values a line has; those beyond the names are empty.
    header
        How many lines there are down to the names.
    remarks
        What else a person should know of how it is written.
    """

    encoding: str
    separator: str
    names: tuple[str, ...]
    quoting: Quoting = _USUAL
    width: int = 0
    header: int = 1
    remarks: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """A note for the user about an unusual dialect, None for the usual one."""
        notes: list[str] = []
        if self.separator != ",":
            notes.append(f"columns are separated by {_NAMES.get(self.separator, self.separator)}")
        if self.encoding == _WESTERN:
            notes.append(f"it is not UTF-8 and was read as {_WESTERN}: check its umlauts and accents")
        elif not self.encoding.startswith("utf-8"):
            notes.append(f"it is {self.encoding.upper()}")
        if self.quoting.escaped:
            notes.append('quotes within its values are written \\"')
        if self.quoting.mark != '"':
            notes.append("its values are in single quotes")
        if self.quoting.spaced:
            notes.append("spaces after its separators are not read")
        return "; ".join([*notes, *self.remarks]) or None

    def text(self, file: IO[bytes]) -> io.TextIOWrapper:
        """Return the file's text; one that is no cp1252 either is read as far as it goes."""
        errors = "replace" if self.encoding == _WESTERN else "strict"
        return io.TextIOWrapper(file, encoding=self.encoding, errors=errors, newline="")

    def rows(self, file: IO[bytes]) -> Any:
        """Return the file's text below the names, with quotes within values doubled."""
        text = self.text(file)
        for _ in range(self.header):
            text.readline()
        return _Unescaped(text) if self.quoting.escaped else text

    def words(self) -> dict[str, Any]:
        """Return what pandas must know to read `rows`."""
        nameless = [f"nameless {place}" for place in range(len(self.names), self.width)]
        return {
            "sep": self.separator,
            "quotechar": self.quoting.mark,
            "skipinitialspace": self.quoting.spaced,
            "header": None,
            "names": [*self.names, *nameless],
            "usecols": list(self.names),
            # No column is taken for an index, as pandas would do where lines are longer than the header.
            "index_col": False,
        }


class _Unescaped:
    """Text whose quotes within values are doubled, where the file has them escaped."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def read(self, size: int = -1, /) -> str:
        piece = self._text.read(size)
        while piece.endswith("\\") and (more := self._text.read(1)):
            piece += more
        return without_escapes(piece)

    def __iter__(self) -> Iterator[str]:
        return map(without_escapes, self._text)


def dialect_of(path: Path) -> Dialect:
    """Sniff the dialect of a CSV file, and check each of its lines.

    All of it is read once, in bounded memory: its last letter may be the only one that is not UTF-8, and
    its last line may be cut off. Once more is it read for each unusual way of quoting that is tried.

    Raises
    ------
    DataError
        It is not text, two of its columns have one name or none has; or a line has more values than there
        are names, or fewer, or opens a quote that is not closed: the line is named by its number.
    """
    file = path.stat()
    return _dialect_of(path, file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size)


@lru_cache(maxsize=64)
def _dialect_of(path: Path, *_version: int) -> Dialect:
    """Sniff a file as it is now: who reads it next need not go through all of it again."""
    with compression.opened(path) as file:
        head = file.read(_STEP)
    dialect = _sniffed(path, head, _encoding(head, path))
    if dialect.encoding == _WESTERN and not "".join(dialect.names).isascii():
        return _sniffed(path, head, _WESTERN)
    return dialect


def _sniffed(path: Path, head: bytes, encoding: str) -> Dialect:
    """Return the dialect of a file that begins like this; an encoding of UTF-8 may prove to be none."""
    faults: list[LineFault] = []
    for candidate in _candidates(_first_lines(head, encoding), path):
        fault, dialect = _check(path, replace(candidate, encoding=encoding))
        if fault is None:
            return dialect
        faults.append(fault)
    # The reading that goes farthest is the one that was meant.
    fault = max(faults, key=lambda each: each.line)
    raise DataError(f"{path} cannot be read as a table: {fault.problem}.", remedy=fault.remedy)


def _encoding(head: bytes, path: Path) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if known := recognize(head):
        what, way = known
        raise DataError(f"{path} cannot be read as a table: it is {what}.", remedy=way)
    if b"\0" in head:
        raise DataError(
            f"{path} cannot be read as a table: it is not text.", remedy="Give a text file as .csv."
        )
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _WESTERN
    return "utf-8"


def _first_lines(head: bytes, encoding: str) -> list[str]:
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    lines = list(io.StringIO(text, newline=""))
    if len(head) == _STEP and len(lines) > 1:
        lines.pop()  # a part of one
    return lines[:_LINES]


def _candidates(lines: list[str], path: Path) -> Iterator[Dialect]:
    """Yield how the file may be written, the likeliest first.

    Raises
    ------
    DataError
        There are no names, or two are the same.
    """
    named = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    single = any(map(_SINGLE.search, lines))
    separators = (named[1],) if named else _SEPARATORS
    quotings = [_USUAL, *(each for each in _QUOTINGS if single or each.mark != "'")]
    usual = len(quotings)
    for number, quoting in enumerate(quotings):
        separator, records, header = _best(lines, separators, quoting, skip=1 if named else 0)
        if not header.names:
            raise DataError(
                f"{path} cannot be read as a table: it is empty.", remedy="Give a file with rows."
            )
        rows = [record.values for record in records[header.place + 1 :]]
        if number == 0:
            quotings[1:1] = _preferred(rows)
            if len(quotings) > usual:
                continue
            refuse_headless(header, records, path.name)
        yield _dialect(separator, quoting, header, rows, path.name)


def _best(
    lines: list[str], separators: Sequence[str], quoting: Quoting, *, skip: int
) -> tuple[str, list[Record], Header]:
    """Return the separator whose lines are the most even below the names, the records and the names."""
    best: tuple[tuple[bool, int, float, int], str, list[Record], Header] | None = None
    for separator in separators:
        records = _records(lines, separator, quoting, skip=skip)
        header = find_header(records)
        widths = [len(record.values) for record in records[header.place :]]
        even = sum(width == widths[0] for width in widths) / len(widths) if widths else 0.0
        several = even if widths and widths[0] > 1 else 0.0
        score = (several > _MOSTLY, -len(header.skipped), several, widths[0] if widths else 0)
        if best is None or score > best[0]:
            best = (score, separator, records, header)
    assert best is not None
    return best[1:]


def _records(lines: list[str], separator: str, quoting: Quoting, *, skip: int) -> list[Record]:
    plain = map(without_escapes, lines) if quoting.escaped else iter(lines)
    for _ in range(skip):
        next(plain)
    reader = csv.reader(plain, delimiter=separator, quotechar=quoting.mark, skipinitialspace=quoting.spaced)
    records, before = [], skip
    for values in reader:
        last = skip + reader.line_num
        if any(value.strip() for value in values):
            records.append(Record(tuple(values), before + 1, last))
        before = last
    return records


def _preferred(rows: list[tuple[str, ...]]) -> list[Quoting]:
    """Return the ways of quoting that the first lines speak for, though they fit the usual one too."""
    inner = [value for row in rows for value in row[1:] if value]
    spaced = bool(inner) and all(value.startswith(" ") for value in inner)
    columns = [[value.strip() for value in column if value.strip()] for column in zip(*rows, strict=False)]
    single = [_is_enclosed(column) for column in columns if any(value[:1] == "'" for value in column)]
    if single and all(single):
        return [Quoting("'", spaced=spaced)]
    return [Quoting(spaced=True)] if spaced else []


def _is_enclosed(column: list[str]) -> bool:
    return all(len(value) > 1 and value[0] == value[-1] == "'" for value in column)


def _dialect(
    separator: str, quoting: Quoting, header: Header, rows: list[tuple[str, ...]], where: str
) -> Dialect:
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header.names)]
    refuse_repeated(names, where)
    remarks = [
        f"its line {record.first}, {record.quoted}, is a title and was not read" for record in header.skipped
    ]
    nameless = [
        names[place]
        for place, name in enumerate(header.names)
        if place and not name and any(row[place : place + 1] not in ((), ("",)) for row in rows)
    ]
    if nameless:
        remarks.append(f"columns without a name are called {shown(nameless)}")
    if header.padded and not quoting.spaced:
        remarks.append("spaces around the names of its columns are not read")
    return Dialect("", separator, tuple(names), quoting, len(names), header.last, tuple(remarks))


def _check(path: Path, dialect: Dialect) -> tuple[LineFault | None, Dialect]:
    """Read all of a file: return the first fault of its lines, and the dialect with what all of it tells."""
    check = LineCheck(dialect.separator, dialect.quoting, names=len(dialect.names), header=dialect.header)
    fault = None
    text = _Utf8(dialect.encoding)
    with compression.opened(path) as file:
        while fault is None and (piece := file.read(_STEP)):
            fault = check.take(text.take(piece))
    fault = fault or check.take(text.end()) or check.end()
    return fault, replace(dialect, encoding=text.encoding, width=check.width)


class _Utf8:
    """Bytes of any encoding as UTF-8, and the encoding: what is not UTF-8 after all is Western, as it is."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")

    def take(self, piece: bytes, *, final: bool = False) -> bytes:
        if self.encoding == _WESTERN:
            return piece
        if self.encoding not in ("utf-8", "utf-8-sig"):
            return self._decoder.decode(piece, final).encode()
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            self.encoding = _WESTERN
        return piece

    def end(self) -> bytes:
        return self.take(b"", final=True)
