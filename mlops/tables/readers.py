"""Read a table file: its format by its name, some rows at a time, its cells by their feature type."""

from __future__ import annotations

import codecs
import csv
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops import feature_types
from mlops.errors import DataError
from mlops.feature_types import BOOLEAN, CATEGORY
from mlops.feature_types.spellings import TRUTHS, as_truths, no_words, numbers_or_text
from mlops.files import compression
from mlops.schema import Schema
from mlops.tables.csv_dialect import Dialect, dialect_of, refuse_repeated

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Format",
    "as_typed",
    "column_types",
    "format_of",
    "is_table",
    "read_batches",
    "read_table",
    "rows_at_once",
    "sniff",
    "stem",
]

Format = Literal["csv", "parquet", "jsonl"]

_FORMATS = (
    "CSV (.csv, .csv.gz), Parquet (.parquet) or JSON lines (.jsonl, .jsonl.gz); .zip, .bz2, .xz, .zst too"
)
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_ENDINGS = tuple(_SUFFIXES)
_INFINITE = re.compile(rb"[:,\[]\s*-?(NaN|Infinity)\b")
_UNEVEN = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
"""The pandas message for a CSV line with too many values."""
_NULLS = [
    "", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "<NA>", "#N/A", "#N/A N/A", "#NA",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
]  # fmt: skip
"""How a CSV, which has no null, spells a missing value: what pandas takes for one, but for `NONE`."""
_PIECE = 200_000
_CELLS = 5_000_000
"""Values in memory at once; as text some 50 bytes each."""
_LEAST_ROWS = 1000
_LONGEST_LINE = 1 << 20
_UNREADABLE = (OSError, ValueError, csv.Error, *compression.DAMAGED)


def is_table(name: str) -> bool:
    """Return whether a file is a table by its name; hidden files are not."""
    return compression.plain_name(Path(name)).endswith(_ENDINGS) and not Path(name).name.startswith(".")


def format_of(path: Path) -> Format:
    """Return the format of a file by its name.

    Raises
    ------
    DataError
        The name has no known suffix.
    """
    try:
        return _SUFFIXES[Path(compression.plain_name(path)).suffix]
    except KeyError:
        raise DataError(f"{path} is not a table: unknown suffix.", remedy=f"Give {_FORMATS}.") from None


def stem(path: Path) -> str:
    """Return a table's name without its suffixes: ``april`` of ``april.csv.gz``."""
    return Path(compression.plain_name(path)).stem


def read_table(path: Path, schema: Schema, *, labelled: bool = False) -> pd.DataFrame:
    """Read a table from a file at once, see `read_batches`.

    Raises
    ------
    DataError
        There is no such file, it holds no rows, or it is not what its name says.
    """
    import pandas as pd

    return pd.concat(read_batches(path, schema, rows=_PIECE, labelled=labelled))


def read_batches(
    path: Path, schema: Schema, *, rows: int, labelled: bool = False, dialect: Dialect | None = None
) -> Iterator[pd.DataFrame]:
    """Read a table some rows at a time, in order: memory does not grow with the file.

    The file's suffix selects the format. The index counts the rows of the file from 0. A CSV has no
    column types: features of `schema` are read by their feature type, each cell by itself, and the
    target by all of its values; any other column stays text. In a boolean column, 0 and 1 of a CSV or
    of JSON lines are booleans. A field that JSON lines leave out of all rows of a batch is null there,
    if another row of the file has it.

    Parameters
    ----------
    labelled
        Read the target, too.
    dialect
        Of a CSV, what `sniff` returned; None to find it out here.

    Raises
    ------
    DataError
        There is no such file, it holds no rows, or it is not what its name says; as soon as it is met.
    """
    format, first = format_of(path), 0
    try:
        if format == "csv":
            frames = _csv(path, _kinds(schema, labelled=labelled), rows, dialect or dialect_of(path))
        else:
            frames = _parquet(path, rows) if format == "parquet" else _jsonl(path, schema, rows)
        for frame in frames:
            if not len(frame):
                continue
            frame.index = frame.index + (first - frame.index[0])
            first += len(frame)
            yield frame
    except _UNREADABLE as exc:
        raise _unreadable(path, exc) from exc
    if first == 0:
        raise _empty(path)


def as_typed(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Read a CSV's text as `read_batches` would, had the file these rows alone; other columns stay.

    Of what the frame has; what is no text stays as it is.
    """
    from pandas.api import types

    kinds = {
        name: kind
        for name, kind in _kinds(schema, labelled=True).items()
        if name in frame and types.infer_dtype(frame[name], skipna=True) == "string"
    }
    return _typed(frame, kinds, *_all([frame], _labels(kinds))) if kinds else frame


def sniff(path: Path) -> Dialect | None:
    """Return how a CSV is written, for `read_batches`; None for another format.

    All of the file is read for that: once is enough.

    Raises
    ------
    DataError
        It cannot be read.
    """
    if format_of(path) != "csv":
        return None
    try:
        return dialect_of(path)
    except _UNREADABLE as exc:
        raise _unreadable(path, exc) from exc


def rows_at_once(path: Path, most: int) -> int:
    """Return how many rows of a table to hold in memory at once: of a wide one fewer than `most`.

    Raises
    ------
    DataError
        It cannot be read.
    """
    return min(most, max(_LEAST_ROWS, _CELLS // max(1, _width(path))))


def _width(path: Path) -> int:
    """Return how many columns a table has, of text by its first line alone and not exactly."""
    import pyarrow.parquet as pq

    try:
        if format_of(path) == "parquet":
            return len(pq.read_schema(path).names)
        with compression.opened(path) as file:
            line = file.readline(_LONGEST_LINE)
    except _UNREADABLE as exc:
        raise _unreadable(path, exc) from exc
    return 1 + max(line.count(sign) for sign in b",;\t|")


def column_types(path: Path, schema: Schema) -> pa.Schema:
    """Return the types of a file's columns, as far as the file or the schema has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if format_of(path) != "parquet":
        known = {name: type.arrow for name, type in schema.types.items() if type.arrow}
        return pa.schema([(name, pa.type_for_alias(alias)) for name, alias in known.items()])
    try:
        return pq.read_schema(path).remove_metadata()
    except _UNREADABLE as exc:
        raise _unreadable(path, exc) from exc


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        refuse_repeated(file.schema_arrow.names, path.name)
        plain = pa.schema([_decoded(field) for field in file.schema_arrow])
        for batch in file.iter_batches(batch_size=rows):
            # Whole numbers beside an empty cell stay whole; an index of pandas' is a column too.
            yield batch.cast(plain).to_pandas(integer_object_nulls=True, ignore_metadata=True)


def _decoded(field: pa.Field) -> pa.Field:
    """A column that is stored as codes of its values is read as the values."""
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _jsonl(path: Path, schema: Schema, rows: int) -> Iterator[pd.DataFrame]:
    import pandas as pd

    records, names = _records(path), None
    booleans = [name for name, type in schema.types.items() if type.arrow == BOOLEAN.arrow]
    while batch := list(islice(records, rows)):
        if names is None and len(batch) == rows:  # or it is the whole file
            names = list(dict.fromkeys(name for record in _records(path) for name in record))
        frame = pd.DataFrame(batch, columns=names, dtype=object)
        yield frame.assign(**{name: as_truths(frame[name]) for name in booleans if name in frame})


def _records(path: Path) -> Iterator[dict[str, Any]]:
    import orjson

    with compression.opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not text.strip():
                continue
            try:
                record = orjson.loads(text)
            except orjson.JSONDecodeError as exc:
                hint = "; JSON has no NaN or Infinity, write null" if _INFINITE.search(text) else ""
                raise ValueError(f"line {number} is not JSON: {exc.msg}{hint}") from exc
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is not a JSON object")
            yield record


_KEY, _LABEL = "key", "label"
"""What a column that is no feature is read as, beside the feature types."""


def _kinds(schema: Schema, *, labelled: bool) -> dict[str, str]:
    """What a CSV's columns are read as."""
    kinds = {schema.key: _KEY} if schema.key else {}
    of_target = schema.task_type.target_type
    target = of_target.name if of_target else _LABEL
    return {**kinds, **schema.features, **({schema.target: target} if labelled else {})}


def _csv(path: Path, kinds: dict[str, str], rows: int, dialect: Dialect) -> Iterator[pd.DataFrame]:
    with _pieces(path, dialect, rows) as pieces:
        first = next(pieces, None)
        if first is None:
            return
        whole = [first] if len(first) < rows else None
        labels = [name for name in _labels(kinds) if name in dialect.names]
        numbers, booleans = _spellings(path, dialect, labels, rows) if whole is None else _all(whole, labels)
        while first is not None:
            yield _typed(first, kinds, numbers, booleans)
            first = next(pieces, None)


def _labels(kinds: dict[str, str]) -> list[str]:
    """The columns that all of their values must be seen of before one is read."""
    return [name for name, kind in kinds.items() if kind == _LABEL]


def _typed(frame: pd.DataFrame, kinds: dict[str, str], numbers: set[str], booleans: set[str]) -> pd.DataFrame:
    import pandas as pd

    known = {
        name: _inferred(frame[name], kind, numbers=name in numbers, booleans=name in booleans)
        for name, kind in kinds.items()
        if name in frame
    }
    # Made anew: one of hundreds of columns, each put in by itself, is slow from then on.
    return pd.DataFrame({name: known.get(str(name), column) for name, column in frame.items()})


@contextmanager
def _pieces(
    path: Path, dialect: Dialect, rows: int, only: list[str] | None = None
) -> Iterator[Iterator[pd.DataFrame]]:
    import pandas as pd

    with (
        _text(path, dialect) as (text, words),
        pd.read_csv(text, dtype=str, chunksize=rows, usecols=only, **words) as pieces,
    ):
        yield _even(pieces)


def _even(pieces: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Give the pieces of a CSV, none of whose lines has more values than there are names."""
    coming = iter(pieces)
    while True:
        with _even_lines():
            piece = next(coming, None)
        if piece is None:
            return
        yield piece


@contextmanager
def _even_lines() -> Iterator[None]:
    """Refuse what pandas would drop with a warning: values without a name. A separator at the end is none."""
    from pandas.errors import ParserWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        try:
            yield
        except ParserWarning as exc:
            raise ValueError("its lines have more values than its first line has names") from exc


@contextmanager
def _text(path: Path, dialect: Dialect) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a CSV, and give what pandas must know to read it."""
    with compression.opened(path) as file:
        # No column is taken for an index, as pandas would do where lines are longer than the header.
        yield (
            dialect.text(file),
            {"sep": dialect.separator, "index_col": False, "keep_default_na": False, "na_values": _NULLS},
        )


def _spellings(path: Path, dialect: Dialect, names: list[str], rows: int) -> tuple[set[str], set[str]]:
    """Return what `_all` does, of a file that is read in pieces."""
    if not names:
        return set(), set()
    with _pieces(path, dialect, rows, names) as pieces:
        return _all(pieces, names)


def _all(pieces: Iterable[pd.DataFrame], names: list[str]) -> tuple[set[str], set[str]]:
    """Return the columns that hold nothing but numbers, and those that hold nothing but booleans."""
    import pandas as pd

    filled_columns: set[str] = set()
    numbers, booleans = set(names), set(names)
    for piece in pieces:
        for name in numbers | booleans:
            values = pd.Series(no_words(piece[name]).dropna().unique())
            filled_columns |= {name} if len(values) else set()
            if name in numbers and pd.to_numeric(values, errors="coerce").isna().any():
                numbers.discard(name)
            if name in booleans and not values.isin(list(TRUTHS)).all():
                booleans.discard(name)
    return numbers & filled_columns, booleans & filled_columns


def _inferred(text: pd.Series[Any], type: str, *, numbers: bool, booleans: bool) -> pd.Series[Any]:
    """Read a CSV's column; what is no value of its type stays text, to be refused by its row."""
    if type in feature_types.REGISTER:
        return feature_types.find(type).read_text(text)
    if type == _KEY:
        return CATEGORY.read_text(no_words(text))
    if booleans:
        return no_words(text).map(TRUTHS)
    return numbers_or_text(no_words(text)) if numbers else text


def _unreadable(path: Path, exc: BaseException) -> DataError:
    if isinstance(exc, FileNotFoundError):
        return DataError(f"There is no file {path}.", remedy="Check the path.")
    if uneven := _UNEVEN.search(str(exc)):
        expected, line, actual = uneven.groups()
        return DataError(
            f"{path} cannot be read as a table: line {line} has {actual} values, those before it {expected}.",
            remedy="Correct that line; a value that contains the separator must be quoted.",
        )
    problem = "it is empty" if "No columns to parse" in str(exc) else str(exc).strip().rstrip(".")
    return DataError(f"{path} cannot be read as a table: {problem}.", remedy=f"Give {_FORMATS}.")


def _empty(path: Path) -> DataError:
    return DataError(f"{path} holds no rows.", remedy="Give a file with rows.")
