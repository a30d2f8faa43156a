"""How a table's columns are written: what was found over all of its rows, and what a person says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops import column_formats
from mlops.column_formats import ColumnFormat, ColumnText, Finding
from mlops.errors import DataError, shown
from mlops.schema import Schema
from mlops.tables.text_values import TextValues
from mlops.tables.unread import unread

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WrittenColumns"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")


@dataclass(frozen=True)
class WrittenColumns:
    """How the columns of a table are written.

    Parameters
    ----------
    texts
        By column the text of all rows.
    formats
        Of the columns that are not written plainly, and for certain; a person's word is.
    missing
        The words that stand for a missing value.
    findings
        What was found, certain or not, by column.
    """

    texts: Mapping[str, ColumnText] = field(default_factory=dict)
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    missing: Sequence[str] | Mapping[str, Sequence[str]] = ()
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        sample: pd.DataFrame,
        texts: Mapping[str, ColumnText] | None,
        *,
        named: Mapping[str, ColumnFormat],
        exclude: Collection[str],
        untyped: bool,
    ) -> WrittenColumns:
        """Find out how columns are written.

        Parameters
        ----------
        sample
            Rows from all of the table, the least and the greatest number of each column among them.
        texts
            The text of all rows, by column; None where the sample has them all.
        named
            What a person says of a column: nothing is looked for there.
        exclude
            Columns that nothing is to be said of.
        untyped
            Text may stand for numbers, as in a CSV.
        """
        if texts is None:
            values = TextValues("," if untyped else None)
            values.take(sample)
            texts = values.columns()
        known = {*named, *exclude}
        findings = {each.column: each for each in column_formats.detect(texts) if each.column not in known}
        numbers = {
            str(name): numeric
            for name, column in sample.items()
            if str(name) not in known
            and str(name) not in findings
            and (numeric := _numbers(column, untyped=untyped)) is not None
        }
        findings |= {each.column: each for each in column_formats.detect_numbers(numbers)}
        certain = {name: each.format for name, each in findings.items() if each.format is not None}
        return cls(texts, {**certain, **named}, findings=findings)

    def notes(self, columns: Collection[str]) -> list[str]:
        """Return what a person should know of how these columns are written, a sentence each."""
        known = [each for name, each in self.findings.items() if name in columns and not each.is_open]
        notes = [f"{each.sentence} {each.remedy}".strip() for each in known]
        if any("data.formats" in each.remedy for each in known):
            notes.append("`mlops init` takes a format as --format COLUMN=FORMAT.")
        return notes

    def doubt(self, column: str) -> str:
        """Return what a column may be after all; empty where nothing speaks for another thing."""
        finding = self.findings.get(column)
        return f"{finding.sentence} {finding.remedy}" if finding and finding.format is None else ""

    def refuse_open(self, columns: Collection[str]) -> None:
        """Refuse columns whose values may be one thing or another.

        Raises
        ------
        DataError
            Names them, with an example each, and how a person says which.
        """
        open = [each for each in self.findings.values() if each.is_open and each.column in columns]
        if not open:
            return
        names = [each.column for each in open]
        raise DataError(
            " ".join(each.sentence for each in open),
            remedy=" ".join(
                [
                    *(each.remedy for each in open),
                    f"`mlops init` takes it as --format '{names[0]}=…';",
                    f"--exclude {','.join(names)} leaves {'it' if len(names) == 1 else 'them'} out.",
                ]
            ),
        )

    def refuse_unread(self, schema: Schema) -> None:
        """Refuse a table some of whose values nobody could read: their rows would be lost.

        Raises
        ------
        DataError
            Names the columns, with a count and an example each, and the ways out.
        """
        left = [each for text in self.texts.values() if (each := unread(text, schema))]
        if not left:
            return
        names = [each.column for each in left]
        raise DataError(
            " ".join(str(each) for each in left),
            remedy=(
                "Correct them in the table, say with --format how they are written, or leave the "
                f"{'column' if len(names) == 1 else 'columns'} out with --exclude {shown(names, 9)}."
            ),
        )

    def named(self, columns: Collection[str]) -> dict[str, Any]:
        """Return the formats and missing words of some columns, as `Schema` takes them."""
        missing: Any = self.missing
        if isinstance(missing, Mapping):
            missing = {name: words for name, words in missing.items() if name in columns}
        return {
            "formats": {name: each for name, each in self.formats.items() if name in columns},
            "missing": missing,
        }


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
