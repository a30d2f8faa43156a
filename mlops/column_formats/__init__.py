"""How columns are written as text: a class each kind of format, and the register that a project may add to.

The serving image carries this package: standard library at the top, numpy and pandas where they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops.column_formats.column_format import ColumnFormat
from mlops.column_formats.column_text import ColumnText, Finding
from mlops.column_formats.composed_format import ComposedFormat
from mlops.column_formats.date_format import DateFormat
from mlops.column_formats.epoch_format import EpochFormat
from mlops.column_formats.excel_format import ExcelFormat
from mlops.column_formats.missing_values import MissingValues, find_missing, is_missing_word, without_missing
from mlops.column_formats.number_codes import find_codes
from mlops.column_formats.number_format import NumberFormat
from mlops.column_formats.number_spelling import Spelling
from mlops.column_formats.text_format import TextFormat
from mlops.register import Register

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "REGISTER", "ColumnFormat", "ColumnText", "ComposedFormat", "DateFormat", "EpochFormat", "ExcelFormat",
    "Finding", "MissingValues", "NumberFormat", "Spelling", "TextFormat", "detect", "detect_missing",
    "detect_numbers", "find_codes", "is_missing_word", "of_params", "register", "without_missing",
]  # fmt: skip

REGISTER: Register[type[ColumnFormat]] = Register(
    "data.formats", DateFormat, EpochFormat, ExcelFormat, ComposedFormat, NumberFormat, TextFormat
)
register = REGISTER.register


def of_params(value: Any) -> ColumnFormat:
    """Return the format that a value of `data.formats` means.

    Raises
    ------
    ValueError
        It means none, or is not valid; the error says what is allowed.
    """
    for kind in REGISTER:
        try:
            format = kind.of_params(value)
        except TypeError as exc:
            raise ValueError(f"a {kind.name} format") from exc
        if format is not None:
            return format
    raise ValueError(
        '{thousands: ",", decimal: "."} of numbers, "%d-%b-%Y" or {epoch: ms} of dates, {strip: true} of text'
    )


def detect_numbers(columns: Mapping[str, pd.Series[Any]]) -> list[Finding]:
    """Return which columns of numbers are written as something else, as days are in a spreadsheet.

    Parameters
    ----------
    columns
        The columns of numbers, by name: values from all of the file's rows, none missing.
    """
    findings = (
        next((found for kind in REGISTER if (found := kind.detect_numbers(name, numbers))), None)
        for name, numbers in columns.items()
        if len(numbers)
    )
    return [finding for finding in findings if finding]


def detect(file: Mapping[str, ColumnText]) -> list[Finding]:
    """Return how the columns of a file are written, of those that are not written plainly.

    Parameters
    ----------
    file
        The columns of text, by name, over all of the file's rows.
    """
    findings: list[Finding] = []
    for column in file.values():
        found = [finding for kind in REGISTER if (finding := kind.detect(column, file))]
        findings += sorted(found, key=_rank)[:1]
    return findings


def _rank(finding: Finding) -> int:
    """Return what goes first of several findings of a column: values, what leaves them open, text, doubts."""
    if finding.format is not None:
        return 2 if finding.format.is_text else 0
    return 1 if finding.is_open else 3


def detect_missing(file: Mapping[str, ColumnText]) -> dict[str, dict[str, int]]:
    """Return the words that stand for a missing value, by column, with the rows that hold each.

    Parameters
    ----------
    file
        The columns of text, by name, over all of the file's rows.
    """

    def is_read(column: ColumnText, beside: Mapping[str, ColumnText]) -> bool:
        return any(not kind.is_text and kind.detect(column, beside) for kind in REGISTER)

    return find_missing(file, is_read)
