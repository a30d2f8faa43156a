"""How a table's columns are written: by which formats, found or named, and what a person is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlops import column_formats
from mlops.column_formats import ColumnFormat, ColumnText, Finding
from mlops.tables.text_values import TextValues

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WrittenColumns", "columns_as_written"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")


@dataclass(frozen=True)
class WrittenColumns:
    """The formats of a table's columns.

    Parameters
    ----------
    formats
        By column, those that were named and those that are certain.
    sentences
        Why those that are certain are, by column.
    doubts
        What is not certain, by column: they are read as they are.
    """

    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, Finding] = field(default_factory=dict)

    def without(self, column: str) -> WrittenColumns:
        """Return the formats of the other columns."""
        return replace(self, formats={name: each for name, each in self.formats.items() if name != column})

    def read(self, sample: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the values that their columns' formats make of them."""
        read = {name: format.read(sample[name]) for name, format in self.formats.items() if name in sample}
        return sample.assign(**read) if read else sample


def columns_as_written(
    sample: pd.DataFrame,
    texts: Mapping[str, ColumnText] | None,
    *,
    named: Mapping[str, ColumnFormat],
    skipped: Collection[str],
    untyped: bool,
) -> WrittenColumns:
    """Find how the columns of a table are written.

    Parameters
    ----------
    sample
        Rows from all of the table, the least and the greatest number of each column among them.
    texts
        The text of all rows, by column; None where the sample has them all.
    named
        The formats that a person named, by column: nothing is found out about those.
    skipped
        Columns that nobody will read.
    untyped
        Text may stand for numbers, as in a CSV.
    """
    if texts is None:
        values = TextValues()
        values.take(sample)
        texts = values.columns()
    asked = {name: text for name, text in texts.items() if name not in named and name not in skipped}
    findings: Sequence[Finding] = column_formats.detect(asked)
    known = {*named, *skipped, *(finding.column for finding in findings)}
    numbers = {
        str(name): numeric
        for name, column in sample.items()
        if name not in known and (numeric := _numbers(column, untyped=untyped)) is not None
    }
    findings = [*findings, *column_formats.detect_numbers(numbers)]
    certain = {finding.column: finding.format for finding in findings if finding.format is not None}
    return WrittenColumns(
        {**certain, **named},
        {finding.column: finding.sentence for finding in findings if finding.format is not None},
        {finding.column: finding for finding in findings if finding.format is None},
    )


def _numbers(column: pd.Series[Any], *, untyped: bool) -> pd.Series[float] | None:
    """Return the numbers of a column that holds nothing else; None where it does."""
    import pandas as pd
    from pandas.api import types

    known = column.dropna()
    kind = types.infer_dtype(known)
    if not len(known) or not (kind in _NUMERIC or (untyped and kind == "string")):
        return None
    numbers = pd.to_numeric(known, errors="coerce")
    return None if numbers.isna().any() else numbers
