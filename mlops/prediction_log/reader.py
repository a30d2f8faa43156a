"""The prediction log: inputs and predictions of every deployed model, append-only.

Each service appends JSON lines to its own segment, see `mlops.prediction_log.writer`. `compact` converts
closed segments, those that are full or whose service ended, to Parquet, one file per month of event
time. Reads return the same rows before, during and after: while a segment's lines exist, its Parquet
is ignored.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import orjson

from mlops.files import atomic, formats, parquet
from mlops.prediction_log.segment import FORMAT, Record, folders, written_segments
from mlops.prediction_log.writer import close, try_lock

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops.schema import Schema

__all__ = ["Compacted", "compact", "find", "ids", "newest", "open_files", "read"]

_CHUNK = 20_000


@dataclass(frozen=True)
class Compacted:
    """Counts of a compaction; `torn` are partial lines of killed writers, of requests without a response."""

    segments: int
    rows: int
    torn: int


def compact(folder: Path, schema: Schema) -> Compacted:
    """Convert every closed segment to Parquet, partitioned by month of event time.

    Safe to kill at any point, and to run beside writers, readers and itself.
    """
    segments = rows = torn = 0
    if not folder.is_dir():
        return Compacted(0, 0, 0)
    with (folder / ".compact.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _close_abandoned(folder)
        places = folders(folder)
        for partial in places.parquet.glob(f"*/{atomic.TEMPORARY}"):
            partial.unlink()  # of a killed compaction
        for path in sorted(places.closed.glob("*.jsonl")):
            if path.is_symlink() or not path.is_file():
                path.unlink()  # exchanged by a container in the moment that its segment was taken
                continue
            segment_rows, partial_lines = _convert(path, schema, places.parquet)
            path.unlink()  # from here on readers use the Parquet
            segments, rows, torn = segments + 1, rows + segment_rows, torn + partial_lines
    return Compacted(segments, rows, torn)


def read(
    folder: Path, schema: Schema, start: datetime | None = None, end: datetime | None = None
) -> pd.DataFrame:
    """Return the predictions of rows with event time in [start, end), sorted by time and id.

    Parameters
    ----------
    schema
        The features to return. Rows served under another schema are read under this one: a feature that
        it lacked, or had as another type, is missing.

    Returns
    -------
    DataFrame
        id, key, time (UTC; the time of the prediction where the row had none), at, deployment, version,
        the features as the model reads them, prediction, score. ``attrs["torn"]`` counts partial last
        lines of killed writers, which are left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, torn = [_table([], schema)], 0
    for source in _sources(folder, start, end):
        if isinstance(source, Path):
            table = _read_parquet(source, schema)
        else:
            records, partial_lines = source
            table, torn = _table(records, schema), torn + partial_lines
        for bound, compare in ((start, pc.greater_equal), (end, pc.less)):
            if bound is not None:
                table = table.filter(compare(table["time"], pa.scalar(bound, table["time"].type)))
        tables.append(table)
    frame: pd.DataFrame = (
        pa.concat_tables(tables).sort_by([("time", "ascending"), ("id", "ascending")]).to_pandas()
    )
    for column in ("prediction", "score"):
        if pa.types.is_string(tables[0].schema.field(column).type):
            frame[column] = frame[column].map({text: orjson.loads(text) for text in frame[column].unique()})
    frame.attrs["torn"] = torn
    return frame


def ids(folder: Path, *, by: Literal["id", "key"] = "id") -> set[str]:
    """Return the ids of all predictions, or the keys of all predicted rows."""

    values: set[str | None] = set()
    for source in _sources(folder):
        if isinstance(source, Path):
            values.update(_read_columns(source, [by])[by].to_pylist())
        else:
            values.update(record[by] for record in source[0])
    return {value for value in values if value is not None}


def newest(folder: Path, *, before: datetime) -> datetime | None:
    """Return the newest event time of a row before `before`, None where no row has one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with open_files(folder) as (segments, parquet_files):
        lines = (record for file in segments.values() for records, _ in _lines(file) for record in records)
        times = (datetime.fromisoformat(record["time"]) for record in lines if record["time"])
        latest = max((time for time in times if time < before), default=None)
    for path in reversed(parquet_files):  # the newest month first
        month = path.parent.name
        if latest is not None and month < _month(latest):
            break
        if month > _month(before) or path.stem in segments:
            continue
        rows = _read_columns(path, ["time", "at"])
        time = rows["time"]
        # For a row without an event time, `time` is the time of the prediction.
        event_times = time.filter(
            pc.and_(pc.not_equal(time, rows["at"]), pc.less(time, pa.scalar(before, time.type)))
        )
        latest = max(filter(None, (latest, pc.max(event_times).as_py())), default=None)
    return latest and latest.astimezone(UTC)


def find(folder: Path, id: str) -> Record | None:
    """Return the record of one prediction as its service wrote it, None where there is none."""
    for source in _sources(folder):
        if isinstance(source, Path):
            # Ids begin with a timestamp, so the statistics of most files exclude it.
            rows = _read_columns(source, ["served"], filters=[("id", "==", id)])
            records = [orjson.loads(line) for line in rows["served"].to_pylist()]
        else:
            records = [record for record in source[0] if record["id"] == id]
        if records:
            return dict(records[0])
    return None


@contextmanager
def open_files(folder: Path) -> Iterator[tuple[dict[str, BinaryIO], list[Path]]]:
    """Open a consistent state of the log: its segments' files by name, and its Parquet files.

    A row may be in both after a concurrent compaction; then its segment's line counts.
    """
    with ExitStack() as stack:
        segments = _open_segments(folder, stack)
        # Listed after the segments: what was compacted in between is in at least one of the two.
        yield segments, sorted(folders(folder).parquet.glob("*/*.parquet"))


def _close_abandoned(folder: Path) -> None:
    """Close the segments whose writer died."""
    for path in written_segments(folder):
        try:
            file = _open(path)
        except FileNotFoundError:
            continue  # closed by its writer since it was listed
        if file is None:
            continue
        try:
            if try_lock(file) and path.exists():
                close(path)
        finally:
            os.close(file)


def _sources(
    folder: Path, start: datetime | None = None, end: datetime | None = None
) -> Iterator[Path | tuple[list[Record], int]]:
    """Yield each segment once: its records and its number of torn lines, or its Parquet."""
    with open_files(folder) as (segments, parquet_files):
        for file in segments.values():
            yield from _lines(file)
    for path in parquet_files:
        early = start is not None and path.parent.name < _month(start)
        late = end is not None and path.parent.name > _month(end)
        if not (early or late or path.stem in segments):
            yield path


def _open_segments(folder: Path, stack: ExitStack) -> dict[str, BinaryIO]:
    """Open all segments with lines; an open one stays readable when a compaction deletes it."""
    while True:
        segments: dict[str, BinaryIO] = {}
        try:
            for path in (*written_segments(folder), *sorted(folders(folder).closed.glob("*.jsonl"))):
                if (file := _open(path)) is not None:
                    opened = open(path, "rb", opener=lambda *_: file)  # noqa: SIM115  # as opened
                    segments[path.stem] = stack.enter_context(opened)
        except FileNotFoundError:
            continue  # one was moved since it was listed
        return segments


def _open(path: Path) -> int | None:
    """Open a segment, None where it is no file of a service's.

    A container that was broken into may have put a link there, to a file of this machine, or a pipe,
    at which a reader would wait for ever.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _lines(file: BinaryIO) -> Iterator[tuple[list[Record], int]]:
    """Yield records in chunks, so that memory does not grow with the segment."""
    while lines := list(islice(file, _CHUNK)):
        records, torn = [], 0
        for line in lines:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                torn += 1
                continue
            formats.check(record.pop("format", None), FORMAT, where=file.name)
            records.append(record)
        yield records, torn


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _as_number(value: Any) -> float | None:
    """Return a served value as a number, also from the time when the column was a category."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _month(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:7]


def _month_of(record: Record) -> str:
    """Return the partition of a record. Records come from clients: none may inject a path."""
    month = str(record["time"] or record["at"])[:7]
    return month if re.fullmatch(r"\d{4}-\d{2}", month) else "unknown"


def _convert(segment: Path, schema: Schema, folder: Path) -> tuple[int, int]:
    """Write a segment as Parquet; return its numbers of rows and of torn lines."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, torn = [], 0
    with segment.open("rb") as file:
        for records, partial_lines in _lines(file):
            # The columns are for fast reads of windows. The whole line is stored too, for a later
            # schema and for single predictions.
            served = [_json(record) for record in records]
            months = [_month_of(record) for record in records]
            table = _table(records, schema).append_column("served", pa.array(served, pa.string()))
            tables.append(table.append_column("month", pa.array(months, pa.string())))
            torn += partial_lines
    if not tables:
        return 0, torn
    whole = pa.concat_tables(tables)
    for month in sorted(whole["month"].unique().to_pylist()):
        rows = formats.stamped(whole.filter(pc.equal(whole["month"], month)).drop_columns(["month"]), FORMAT)
        parquet.write(rows, folder / month / f"{segment.stem}.parquet")
    return len(whole), torn


def _read_columns(path: Path, columns: list[str], **how: Any) -> pa.Table:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=columns, partitioning=None, **how)
    formats.check_table(table.schema, FORMAT, file=path)
    return table.replace_schema_metadata()


def _read_parquet(path: Path, schema: Schema) -> pa.Table:
    """Read a compacted file under `schema`: its columns, or its lines where the schema has changed."""
    import pyarrow.parquet as pq

    expected, actual = _table([], schema).schema, pq.read_schema(path)
    if {(field.name, field.type) for field in expected} <= {(field.name, field.type) for field in actual}:
        return _read_columns(path, expected.names)
    lines = _read_columns(path, ["served"])["served"]
    return _table([orjson.loads(line) for line in lines.to_pylist()], schema)


def _value(record: Record, name: str, schema: Schema) -> Any:
    """Return a served value as a table's cell would be read, whatever params.yaml said when it was served."""
    value, read = record["features"].get(name), schema.canonical.get(name)
    return value if read is None else read(value)


def _table(records: list[Record], schema: Schema) -> pa.Table:
    """Convert records to columns. Labels and class scores are JSON: text, numbers or booleans."""
    import pyarrow as pa

    def text(name: str) -> pa.Array:
        return pa.array([record[name] for record in records], pa.string())

    def moment(name: str) -> pa.Array:
        times = [datetime.fromisoformat(record[name] or record["at"]) for record in records]
        return pa.array(times, pa.timestamp("us", "UTC"))

    def numbers(values: list[Any]) -> pa.Array:
        try:
            return pa.array(values, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # booleans, or served as another type
            return pa.array(map(_as_number, values), pa.float64())

    def prediction(name: str, *, number: bool) -> pa.Array:
        values = [record[name] for record in records]
        return numbers(values) if number else pa.array(map(_json, values), pa.string())

    return pa.table(
        {
            **{name: text(name) for name in ("id", "key")},
            **{name: moment(name) for name in ("time", "at")},
            **{name: text(name) for name in ("deployment", "version")},
            **{
                name: type.to_arrow([_value(record, name, schema) for record in records])
                for name, type in schema.types.items()
                if name != schema.time
            },
            "prediction": prediction("prediction", number=not schema.task_type.has_classes),
            "score": prediction("score", number=schema.task_type.score_is_number),
        }
    )
