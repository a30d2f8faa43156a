"""How a table's columns are written: what was found over all of its rows, and what a person says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlops import column_formats
from mlops.column_formats import ColumnFormat, ColumnText, Finding, MissingValues, TextFormat
from mlops.errors import DataError, shown
from mlops.feature_types.cells import is_number
from mlops.schema import Schema
from mlops.tables.text_values import TextValues
from mlops.tables.unread import unread

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WrittenColumns"]

_SOME = 0.2
"""Of so many numbers on, a column of a typed file is one of numbers beside its words."""
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
        By column the words and numbers that stand for a missing value; a person's among them.
    words
        Those that were found, by column, with the rows that hold each.
    findings
        What was found, certain or not, by column.
    codes
        Columns whose values are text, though they could be read as numbers.
    """

    texts: Mapping[str, ColumnText] = field(default_factory=dict)
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    missing: Mapping[str, Sequence[str | float]] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    findings: Mapping[str, Finding] = field(default_factory=dict)
    codes: Collection[str] = ()

    @classmethod
    def of(
        cls,
        sample: pd.DataFrame,
        texts: Mapping[str, ColumnText] | None,
        *,
        named: Mapping[str, ColumnFormat],
        missing: Mapping[str, Sequence[str | float]],
        exclude: Collection[str],
        target: str,
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
        missing
            What a person says of missing values, beside what is found.
        exclude
            Columns that nothing is to be said of.
        target
            Its labels are read by all of their values: no codes are looked for there.
        untyped
            Text may stand for numbers, as in a CSV.
        """
        if texts is None:
            values = TextValues("," if untyped else None)
            values.take(sample)
            texts = values.columns()
        words = _missing_words(sample, {name: each for name, each in texts.items() if name not in exclude})
        every = {
            name: tuple(dict.fromkeys([*missing.get(name, ()), *words.get(name, ())]))
            for name in (*missing, *words)
        }
        texts = column_formats.without_missing(texts, every)
        known = {*named, *exclude}
        findings = {each.column: each for each in column_formats.detect(texts) if each.column not in known}
        if untyped:
            found = column_formats.find_codes(texts)
            findings |= {
                each.column: each for each in found if each.column not in {*known, *findings, target}
            }
        others = sample[[name for name in sample if str(name) not in {*known, *findings}]]
        numbers = _number_columns(others, every, untyped=untyped)
        findings |= {each.column: each for each in column_formats.detect_numbers(numbers)}
        certain = {name: each.format for name, each in findings.items() if each.format is not None}
        codes = {name for name, each in findings.items() if each.is_code}
        codes |= {
            name
            for name, each in named.items()
            if name in texts and name != target and isinstance(each, TextFormat) and texts[name].numbers
        }
        return cls(texts, {**certain, **named}, every, words, findings, codes)

    def stripped(self, columns: Collection[str]) -> WrittenColumns:
        """Return the same with columns read without what pads them, as their file is: in requests, too."""
        strip = {
            name: TextFormat(strip=True, case=getattr(self.formats.get(name), "case", ""))
            for name in columns
            if isinstance(self.formats.get(name, TextFormat()), TextFormat)
        }
        return replace(self, formats={**self.formats, **strip})

    def without_missing(self, column: str) -> WrittenColumns:
        """Return the same with nothing in a column that stands for a missing value."""
        missing = {name: each for name, each in self.missing.items() if name != column}
        words = {name: each for name, each in self.words.items() if name != column}
        return replace(self, missing=missing, words=words)

    def with_format(self, column: str, format: ColumnFormat) -> WrittenColumns:
        """Return how the columns are written, one of them in this format."""
        return replace(self, formats={**self.formats, column: format})

    def notes(self, columns: Collection[str]) -> list[str]:
        """Return what a person should know of how these columns are written, a sentence each."""
        known = [each for name, each in self.findings.items() if name in columns and not each.is_open]
        notes = [_taken_for_missing(name, words) for name, words in self.words.items() if name in columns]
        notes += [f"{each.sentence} {each.remedy}".strip() for each in known]
        if any("data.formats" in each.remedy for each in known):
            notes.append("`mlops init` takes a format as --format COLUMN=FORMAT.")
        return notes

    def doubt(self, column: str) -> str:
        """Return what a column may be after all; empty where nothing speaks for another thing."""
        finding = self.findings.get(column)
        if finding is None or finding.format is not None:
            return ""
        is_said = finding.is_code or isinstance(finding.likely, TextFormat)  # a note, but no doubt
        return "" if is_said else f"{finding.sentence} {finding.remedy}"

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
                "Correct them in the table, say with --format how they are written, or with --missing what "
                f"stands for a missing value, as '{names[0]}={left[0].example.strip()}', or leave the "
                f"{'column' if len(names) == 1 else 'columns'} out with --exclude {shown(names, 9)}."
            ),
        )

    def named(self, columns: Collection[str]) -> dict[str, Any]:
        """Return the formats and missing words of some columns, as `Schema` takes them."""
        return {
            "formats": {name: each for name, each in self.formats.items() if name in columns},
            "missing": {name: words for name, words in self.missing.items() if name in columns},
        }


def _missing_words(sample: pd.DataFrame, texts: Mapping[str, ColumnText]) -> dict[str, dict[str, int]]:
    """Return the words that stand for a missing value, those among a typed file's numbers too."""
    words = column_formats.detect_missing(texts)
    for name, text in texts.items():
        if name not in words and name in sample and all(map(column_formats.is_missing_word, text.values)):
            cells = sample[name].dropna()
            if text.is_whole and cells.map(is_number).mean() >= _SOME:
                words[name] = dict(text.values)
    return words


def _known(column: pd.Series[Any], missing: Mapping[str, Sequence[str | float]]) -> pd.Series[Any]:
    return MissingValues(tuple(missing.get(str(column.name), ()))).without(column)


def _taken_for_missing(name: str, words: Mapping[str, int]) -> str:
    rows = [f"{word!r} in {count:,} {'row' if count == 1 else 'rows'}" for word, count in words.items()]
    return f"{name} has {shown(rows)}, taken for missing: see data.missing in params.yaml."


def _number_columns(
    frame: pd.DataFrame, missing: Mapping[str, Sequence[str | float]], *, untyped: bool
) -> dict[str, pd.Series[float]]:
    """Return the columns that hold nothing but numbers, without what stands for a missing value."""
    columns = {
        str(name): _numbers(_known(column, missing), untyped=untyped) for name, column in frame.items()
    }
    return {name: numbers for name, numbers in columns.items() if numbers is not None}


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
