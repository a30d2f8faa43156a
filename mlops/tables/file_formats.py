"""How one file's numbers are written: as the schema says and, where it does not read them, as the file shows.

A file is looked through when a value is met that cannot be read, and not before: most files need no second
look. What is found holds for a column and for this file; single cells are never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops import column_formats
from mlops.column_formats import ColumnFormat, ColumnText, ComposedFormat, DateFormat, Finding, NumberFormat
from mlops.errors import DataError
from mlops.feature_types import DATE, NUMBER
from mlops.moments import to_times
from mlops.tables.reading import TIME, ColumnReading
from mlops.tables.text_values import TextValues

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FileFormats", "WrittenOtherwiseError"]

_LOOKED_AT = 500
"""Dates of a piece that are looked at: where a file writes them otherwise, it does so everywhere."""
Read = Callable[["pd.DataFrame", Mapping[str, ColumnReading]], "pd.DataFrame"]


class WrittenOtherwiseError(DataError):
    """A column of a file is written in a way that leaves open which numbers it holds."""


class FileFormats:
    """The readings of a file's columns, completed by what the file itself shows.

    Parameters
    ----------
    readings
        What the columns are read as, by name.
    again
        Reads the file from its beginning, values as they are written.
    separator
        Of a CSV; None of a file that has types.
    on_found
        Called with a sentence for each column that is read otherwise than the schema says.
    """

    def __init__(
        self,
        readings: Mapping[str, ColumnReading],
        again: Callable[[], Iterable[pd.DataFrame]],
        separator: str | None,
        on_found: Callable[[str], None],
    ) -> None:
        self._readings = dict(readings)
        self._again = again
        self._separator = separator
        self._on_found = on_found
        self._numbers = [name for name, each in readings.items() if each.kind == NUMBER.name]
        self._dates = [name for name, each in readings.items() if each.kind in (DATE.name, TIME)]
        self._looked_at: set[str] = set()
        self._is_first = True

    def read(self, frames: Iterable[pd.DataFrame], read: Read) -> Iterator[pd.DataFrame]:
        """Yield frames as their columns are read.

        Parameters
        ----------
        read
            Reads one, by readings.

        Raises
        ------
        WrittenOtherwiseError
            Numbers of a column are written in a way that leaves open which they are.
        """
        for frame in frames:
            values = read(frame, self._readings)
            if odd := self._odd(values):
                self._look(odd)
                values = read(frame, self._readings)
            if dates := self._odd_dates(values):
                self._look_at_dates(dates)
                values = read(frame, self._readings)
            yield values
            self._is_first = False

    def _odd(self, values: pd.DataFrame) -> dict[str, str]:
        """Return the columns of numbers with a number that was not read, and were not looked at yet."""
        return {
            name: unread
            for name in self._numbers
            if name in values and name not in self._looked_at and (unread := _unread(values[name]))
        }

    def _look(self, odd: Mapping[str, str]) -> None:
        texts = self._texts()
        findings = {each.column: each for each in column_formats.detect(texts)}
        for name in self._numbers:
            named, finding = self._readings[name].format, findings.get(name)
            format = _found(finding, named)
            if name in odd or format is not None:
                self._looked_at.add(name)
            if format is None and name in odd:
                self._refuse(name, odd[name], finding)
            if finding is not None and finding.is_open and named is None:  # also where each is a plain number
                raise WrittenOtherwiseError(finding.sentence, remedy=finding.remedy)
            if format in (None, named) or (named is not None and name not in odd):
                continue
            assert format is not None
            assert finding is not None
            if not self._is_first and format.changes_plain:
                raise _otherwise(name, f"{name} is written in more than one way, as {finding.example}", named)
            self._readings[name] = replace(self._readings[name], format=format)
            self._on_found(finding.sentence.removesuffix("."))

    def _odd_dates(self, values: pd.DataFrame) -> list[str]:
        """Return the columns of dates with a date that was not read, and were not looked at yet."""
        names = (name for name in self._dates if name in values and name not in self._looked_at)
        return [name for name in names if _has_unread_date(values[name])]

    def _look_at_dates(self, names: list[str]) -> None:
        self._looked_at.update(names)
        texts = self._texts(names)
        for finding in (found for text in texts.values() if (found := DateFormat.detect(text, texts))):
            name, named = finding.column, self._readings[finding.column].format
            if finding.format is None or isinstance(named, ComposedFormat):
                continue  # refused by their rows, with an example
            if not self._is_first:
                raise _otherwise(name, f"{name} is written in more than one way", named)
            self._readings[name] = replace(self._readings[name], format=finding.format)
            self._on_found(finding.sentence.removesuffix("."))

    def _texts(self, names: Iterable[str] | None = None) -> Mapping[str, ColumnText]:
        names = self._numbers if names is None else names
        values = TextValues(self._separator)
        for frame in self._again():
            columns = {
                name: self._readings[name].without_missing(frame[name]) for name in names if name in frame
            }
            values.take_columns(columns)
        return values.columns()

    def _refuse(self, name: str, unread: str, finding: Finding | None) -> None:
        """Refuse what is a number in some other way; what is none is refused by its row, later."""
        named = self._readings[name].format
        if isinstance(named, NumberFormat):
            raise _otherwise(name, f"{name} holds {unread}", named)
        if finding is not None and finding.format is None:
            raise WrittenOtherwiseError(finding.sentence, remedy=finding.remedy)


def _has_unread_date(column: pd.Series[Any]) -> bool:
    """Return whether some of a column's text, of rows from all of it, is no moment as it is."""
    texts = [value for value in column if isinstance(value, str) and value.strip()]
    some = texts[:: max(1, len(texts) // _LOOKED_AT)]
    return bool(some) and bool(to_times(some).isna().any())


def _unread(column: pd.Series[Any]) -> str:
    """Return a text that is a number in some way of writing, and was not read as one; else an empty one."""
    from pandas.api import types

    if types.infer_dtype(column, skipna=True) not in ("string", "mixed", "mixed-integer"):
        return ""
    texts = (value for value in column if isinstance(value, str))
    return next((text for text in texts if column_formats.Spelling.of(text)), "")


def _found(finding: Finding | None, named: ColumnFormat | None) -> NumberFormat | None:
    """Return the format that a file shows for a column of numbers; None where it shows none for certain.

    A format that was named is widened by what its values made no use of, never contradicted.
    """
    if finding is None:
        return None
    format = finding.format or finding.likely
    if not isinstance(format, NumberFormat):
        return None
    if finding.format is None and format.unit:
        return None
    if named is None:
        return format
    return format if isinstance(named, NumberFormat) and format.widens(named) else None


def _otherwise(name: str, what: str, named: ColumnFormat | None) -> WrittenOtherwiseError:
    as_named = f", and data.formats reads {name} by {named.to_params()}" if named is not None else ""
    return WrittenOtherwiseError(
        f"{what}{as_named}.",
        remedy=f"Write all of its values in one way, or correct data.formats: {{{name}: …}} in params.yaml.",
    )
