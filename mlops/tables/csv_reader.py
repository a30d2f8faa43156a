"""Read a CSV some rows at a time: each column by its feature type, a label by all of its values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import feature_types
from mlops.feature_types import CATEGORY
from mlops.feature_types.spellings import BOOLEANS, no_words, numbers_or_text
from mlops.files import compression
from mlops.tables.csv_dialect import Dialect
from mlops.tables.file_formats import FileFormats
from mlops.tables.reading import KEY, LABEL, TIME, ColumnReading

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_csv", "type_columns"]

_NULLS = [
    "", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "<NA>", "#N/A", "#N/A N/A", "#NA",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
]  # fmt: skip
"""How a CSV, which has no null, spells a missing value: what pandas takes for one, but for `NONE`."""


def read_csv(
    path: Path,
    readings: Mapping[str, ColumnReading],
    rows: int,
    dialect: Dialect,
    on_found: Callable[[str], None],
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a CSV, `rows` at a time.

    Parameters
    ----------
    readings
        What each column is read as, see `column_readings`; one that is not named stays text.
    on_found
        See `FileFormats`.

    Raises
    ------
    ValueError
        Pandas cannot read the file.
    WrittenOtherwiseError
        See `FileFormats.read`.
    """
    with _pieces(path, dialect, rows) as pieces:
        first = next(pieces, None)
        if first is None:
            return
        whole = [first] if len(first) < rows else None
        labels = {name: each for name, each in _labels(readings).items() if name in dialect.names}
        numbers, booleans = _spellings(path, dialect, labels, rows) if whole is None else _all(whole, labels)

        def again() -> Iterator[pd.DataFrame]:
            with _pieces(path, dialect, rows) as once_more:
                yield from once_more

        formats = FileFormats(
            readings, again if whole is None else lambda: whole, dialect.separator, on_found
        )
        yield from formats.read(
            chain([first], pieces), lambda frame, known: _typed(frame, known, numbers, booleans)
        )


def type_columns(frame: pd.DataFrame, readings: Mapping[str, ColumnReading]) -> pd.DataFrame:
    """Read the columns of a frame of text, all of whose rows are at hand."""
    return _typed(frame, readings, *_all([frame], _labels(readings)))


def _labels(readings: Mapping[str, ColumnReading]) -> dict[str, ColumnReading]:
    """The columns that all of their values must be seen of before one is read."""
    return {name: each for name, each in readings.items() if each.kind == LABEL and not each.reads_values}


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
    if reading.kind == TIME:
        return text
    if reading.kind == KEY:
        return CATEGORY.read_text(no_words(text))
    if booleans:
        return no_words(text).map(BOOLEANS)
    return numbers_or_text(no_words(text)) if numbers else text
