"""Read a table file: its format by its name, some rows at a time, its cells by their feature type."""

from __future__ import annotations

import codecs
import csv
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops.column_formats import ColumnFormat, MissingValues
from mlops.errors import DataError
from mlops.feature_types import BOOLEAN
from mlops.feature_types.cells import is_number
from mlops.feature_types.spellings import as_booleans
from mlops.files import compression
from mlops.schema import Schema
from mlops.tables.contents import recognize
from mlops.tables.csv_dialect import Dialect, dialect_of
from mlops.tables.csv_header import refuse_repeated
from mlops.tables.csv_reader import read_csv, type_columns
from mlops.tables.file_formats import FileFormats
from mlops.tables.reading import ColumnReading, column_readings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Format",
    "as_typed",
    "column_types",
    "composed",
    "format_of",
    "is_table",
    "read_batches",
    "read_table",
    "read_written",
    "rows_at_once",
    "sniff",
    "stem",
]

log = logging.getLogger("mlops")

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
_PIECE = 200_000
_CELLS = 5_000_000
"""Values in memory at once; as text some 50 bytes each."""
_LEAST_ROWS = 1000
_LONGEST_LINE = 1 << 20
_HEAD = 1 << 12
_REMEDIES: dict[Format, str] = {
    "csv": "Correct the file: the first line holds the names, each other line a value for each.",
    "jsonl": "Write one JSON object a line.",
    "parquet": "Write the Parquet file again, or name the file after what it is.",
}
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
    path: Path,
    schema: Schema,
    *,
    rows: int,
    labelled: bool = False,
    dialect: Dialect | None = None,
    on_found: Callable[[str], None] = log.info,
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
    on_found
        Called with a sentence for each column of numbers that the file writes otherwise than plainly or
        as the schema says, where it is certain how.

    Raises
    ------
    DataError
        There is no such file, it holds no rows, or it is not what its name says; as soon as it is met.
    WrittenOtherwiseError
        Numbers of a column are written in a way that leaves open which they are.
    """
    format, first, readings = format_of(path), 0, column_readings(schema, labelled=labelled)
    try:
        if format == "csv":
            frames = read_csv(path, readings, rows, dialect or dialect_of(path), on_found)
        else:

            def typed() -> Iterator[pd.DataFrame]:
                return _parquet(path, rows) if format == "parquet" else _jsonl(path, schema, rows)

            frames = FileFormats(readings, typed, None, on_found).read(typed(), _with_readings)
        for frame in frames:
            if not len(frame):
                continue
            frame.index = frame.index + (first - frame.index[0])
            first += len(frame)
            yield composed(frame, schema.formats)
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
        for name, kind in column_readings(schema, labelled=True).items()
        if name in frame and types.infer_dtype(frame[name], skipna=True) == "string"
    }
    return type_columns(frame, kinds) if kinds else frame


def composed(frame: pd.DataFrame, formats: Mapping[str, ColumnFormat]) -> pd.DataFrame:
    """Return a table with the columns that formats make of several; one that it has already stays."""
    made = {
        name: format.compose(frame)
        for name, format in formats.items()
        if format.sources and name not in frame and all(source in frame for source in format.sources)
    }
    return frame.assign(**made) if made else frame


def read_written(
    frame: pd.DataFrame,
    formats: Mapping[str, ColumnFormat],
    missing: Mapping[str, Sequence[str | float]],
) -> pd.DataFrame:
    """Read the text in a table that nothing else is known of, by its columns' formats and missing words."""
    readings = {
        name: ColumnReading("", formats.get(name), tuple(missing.get(name, ())))
        for name in (*formats, *missing)
    }
    return _with_readings(frame, readings)


def _with_readings(frame: pd.DataFrame, readings: Mapping[str, ColumnReading]) -> pd.DataFrame:
    read = {
        name: _with_format(frame[name], reading)
        for name, reading in readings.items()
        if name in frame and (reading.format is not None or reading.missing)
    }
    if not read:
        return frame
    import pandas as pd

    return pd.DataFrame({name: read.get(str(name), column) for name, column in frame.items()})


def _with_format(column: pd.Series[Any], reading: ColumnReading) -> pd.Series[Any]:
    """Read the cells of a column that are text, or numbers where its format reads those."""
    from pandas.api import types

    if types.is_numeric_dtype(column.dtype):
        column = MissingValues(reading.missing).without(column)
        format = reading.format
        return format.read(column) if format is not None and format.reads_numbers else column
    is_text = column.map(lambda value: isinstance(value, str)).astype(bool)
    if reading.format is not None and reading.format.reads_numbers:
        is_text |= column.map(is_number).astype(bool)
    if not is_text.any():
        return column
    text = reading.prepared(column[is_text].astype(object))
    if reading.format is not None and reading.reads_values:
        text = reading.format.read(text)
    if column[~is_text].isna().all():
        return text.reindex(column.index)
    whole = column.astype(object)
    whole[is_text] = text.astype(object)
    return whole


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
        yield frame.assign(**{name: as_booleans(frame[name]) for name in booleans if name in frame})


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


def _unreadable(path: Path, exc: BaseException) -> DataError:
    if isinstance(exc, FileNotFoundError):
        return DataError(f"There is no file {path}.", remedy="Check the path.")
    problem, remedy = str(exc).strip().rstrip("."), _REMEDIES[format_of(path)]
    if isinstance(exc, (*compression.DAMAGED, OSError)) and path.suffix in compression.SUFFIXES:
        problem, remedy = problem or "it is damaged", f"Get the file again, or name it without {path.suffix}."
    elif path.suffix == ".zip":
        remedy = "Give a zip of one table without a password, or each table by itself."
    elif path.suffix not in compression.SUFFIXES and (actual := _actual(path)):
        problem, remedy = f"it is {actual[0]}", actual[1]
    return DataError(f"{path} cannot be read as a table: {problem}.", remedy=remedy)


def _actual(path: Path) -> tuple[str, str] | None:
    """Return what a file is where it is not what its name says, and the way out."""
    with suppress(OSError), path.open("rb") as file:
        actual = recognize(file.read(_HEAD))
        # JSON lines begin as JSON does, and a damaged Parquet file as a sound one.
        own = {"jsonl": "JSON", "parquet": "Parquet"}.get(format_of(path))
        return actual if actual is not None and actual[0] != own else None
    return None


def _empty(path: Path) -> DataError:
    return DataError(f"{path} holds no rows.", remedy="Give a file with rows.")
