"""Read a CSV some rows at a time: each column by its feature type, a label by all of its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import feature_types
from mlops.column_formats import ColumnFormat, MissingValues
from mlops.feature_types import CATEGORY
from mlops.feature_types.spellings import BOOLEANS, no_words, numbers_or_text
from mlops.files import compression
from mlops.schema import Schema
from mlops.tables.csv_dialect import Dialect

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ColumnReading", "column_readings", "read_csv", "type_columns"]

_NULLS = [
    "", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "<NA>", "#N/A", "#N/A N/A", "#NA",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
]  # fmt: skip
"""How a CSV, which has no null, spells a missing value: what pandas takes for one, but for `NONE`."""


_KEY = "key"
_LABEL = "label"
_TIME = "time"
"""What a column that is no feature is read as, beside the feature types."""


@dataclass(frozen=True)
class ColumnReading:
    """How a column of text is read.

    Parameters
    ----------
    kind
        A feature type by its name, a key, a label or the event time.
    format
        How its values are written, None where plainly.
    missing
        Words and numbers that stand for a missing value.
    """

    kind: str
    format: ColumnFormat | None = None
    missing: tuple[str | float, ...] = ()

    def prepared(self, text: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text with its missing words as missing, and as its format has it where that is text."""
        text = MissingValues(self.missing).without(text) if self.missing else text
        return self.format.read(text) if self.format is not None and self.format.is_text else text

    @property
    def reads_values(self) -> bool:
        """Whether the format makes values of the text, and no feature type is asked."""
        return self.format is not None and not self.format.is_text


def column_readings(schema: Schema, *, labelled: bool) -> dict[str, ColumnReading]:
    """Return what the columns of text are read as, by name."""
    kinds = {schema.key: _KEY} if schema.key else {}
    kinds |= {schema.time: _TIME} if schema.time else {}
    of_target = schema.task_type.target_type
    target = of_target.name if of_target else _LABEL
    kinds |= {**schema.features, **({schema.target: target} if labelled else {})}
    return {
        name: ColumnReading(kind, schema.formats.get(name), schema.missing_words(name))
        for name, kind in kinds.items()
    }


def read_csv(
    path: Path, readings: Mapping[str, ColumnReading], rows: int, dialect: Dialect
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a CSV, `rows` at a time.

    Parameters
    ----------
    readings
        What each column is read as, see `column_readings`; one that is not named stays text.

    Raises
    ------
    ValueError
        Pandas cannot read the file.
    """
    with _pieces(path, dialect, rows) as pieces:
        first = next(pieces, None)
        if first is None:
            return
        whole = [first] if len(first) < rows else None
        labels = {name: each for name, each in _labels(readings).items() if name in dialect.names}
        numbers, booleans = _spellings(path, dialect, labels, rows) if whole is None else _all(whole, labels)
        while first is not None:
            yield _typed(first, readings, numbers, booleans)
            first = next(pieces, None)


def type_columns(frame: pd.DataFrame, readings: Mapping[str, ColumnReading]) -> pd.DataFrame:
    """Read the columns of a frame of text, all of whose rows are at hand."""
    return _typed(frame, readings, *_all([frame], _labels(readings)))


def _labels(readings: Mapping[str, ColumnReading]) -> dict[str, ColumnReading]:
    """The columns that all of their values must be seen of before one is read."""
    return {name: each for name, each in readings.items() if each.kind == _LABEL and not each.reads_values}


def _typed(
    frame: pd.DataFrame, readings: Mapping[str, ColumnReading], numbers: set[str], booleans: set[str]
) -> pd.DataFrame:
    import pandas as pd

    known = {
        name: _inferred(frame[name], reading, numbers=name in numbers, booleans=name in booleans)
        for name, reading in readings.items()
        if name in frame
    }
    # Made anew: one of hundreds of columns, each put in by itself, is slow from then on.
    return pd.DataFrame({name: known.get(str(name), column) for name, column in frame.items()})


@contextmanager
def _pieces(
    path: Path, dialect: Dialect, rows: int, only: list[str] | None = None
) -> Iterator[Iterator[pd.DataFrame]]:
    import pandas as pd

    words = {**dialect.words(), "keep_default_na": False, "na_values": _NULLS}
    if only is not None:
        words["usecols"] = only
    with (
        compression.opened(path) as file,
        pd.read_csv(dialect.rows(file), dtype=str, chunksize=rows, **words) as pieces,
    ):
        yield iter(pieces)


def _spellings(
    path: Path, dialect: Dialect, labels: Mapping[str, ColumnReading], rows: int
) -> tuple[set[str], set[str]]:
    """Return what `_all` does, of a file that is read in pieces."""
    if not labels:
        return set(), set()
    with _pieces(path, dialect, rows, list(labels)) as pieces:
        return _all(pieces, labels)


def _all(pieces: Iterable[pd.DataFrame], labels: Mapping[str, ColumnReading]) -> tuple[set[str], set[str]]:
    """Return the columns that hold nothing but numbers, and those that hold nothing but booleans."""
    import pandas as pd

    filled_columns: set[str] = set()
    numbers, booleans = set(labels), set(labels)
    for piece in pieces:
        for name in numbers | booleans:
            values = pd.Series(no_words(labels[name].prepared(piece[name])).dropna().unique())
            filled_columns |= {name} if len(values) else set()
            if name in numbers and pd.to_numeric(values, errors="coerce").isna().any():
                numbers.discard(name)
            if name in booleans and not values.isin(list(BOOLEANS)).all():
                booleans.discard(name)
    return numbers & filled_columns, booleans & filled_columns


def _inferred(
    text: pd.Series[Any], reading: ColumnReading, *, numbers: bool, booleans: bool
) -> pd.Series[Any]:
    """Read a CSV's column; what is no value of its type stays text, to be refused by its row."""
    text = reading.prepared(text)
    if reading.format is not None and reading.reads_values:
        return reading.format.read(no_words(text))
    if reading.kind in feature_types.REGISTER:
        return feature_types.find(reading.kind).read_text(text)
    if reading.kind == _TIME:
        return text
    if reading.kind == _KEY:
        return CATEGORY.read_text(no_words(text))
    if booleans:
        return no_words(text).map(BOOLEANS)
    return numbers_or_text(no_words(text)) if numbers else text
