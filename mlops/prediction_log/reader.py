"""The prediction log: what every deployed model saw and answered, append-only.

A service appends JSON lines to a segment of its own, see `log_writer`. A segment that is full
or whose service ended lies closed until `compact` turns it into Parquet, one file per month of
event time. Reading gives the same rows before, while and after: as long as a segment's lines
exist, its Parquet is not looked at.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import orjson

from mlops import moments
from mlops.files import parquet
from mlops.prediction_log.segment import Record, folders
from mlops.prediction_log.writer import close, hold
from mlops.schema import TEXTUAL
from mlops.tables.cells import spelled

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops.schema import Kind, Schema

__all__ = ["Compacted", "compact", "find", "ids", "newest", "opened", "read"]

_CHUNK = 20_000


@dataclass(frozen=True)
class Compacted:
    """What a compaction did; `torn` counts lines a killed writer left, which answered nobody."""

    segments: int
    rows: int
    torn: int


def compact(folder: Path, schema: Schema) -> Compacted:
    """Turn every ended segment into Parquet, partitioned by month of event time.

    Safe to kill anywhere and to run beside writers, readers and itself.
    """
    segments = rows = torn = 0
    if not folder.is_dir():
        return Compacted(0, 0, 0)
    with (folder / ".compact.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _collect_dead(folder)
        places = folders(folder)
        for litter in places.parquet.glob("*/*.tmp"):
            litter.unlink()  # of a compaction that was killed
        for path in sorted(places.closed.glob("*.jsonl")):
            held, unfinished = _store(path, schema, places.parquet)
            path.unlink()  # from here on the Parquet is what readers see
            segments, rows, torn = segments + 1, rows + held, torn + unfinished
    return Compacted(segments, rows, torn)


def read(
    folder: Path, schema: Schema, start: datetime | None = None, end: datetime | None = None
) -> pd.DataFrame:
    """Return the predictions of the rows whose event time lies in [start, end), by time and id.

    Parameters
    ----------
    schema
        Which features to return. What was served under another schema is read under this
        one: a feature it did not have, or had as another kind, is missing.

    Returns
    -------
    DataFrame
        id, key, time (UTC; the recorded time where the row brought none), at, deployment,
        version, the features as a model sees them, prediction, score. ``attrs["torn"]``
        counts unfinished last lines of killed writers, which are left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, torn = [_table([], schema)], 0
    for source in _sources(folder, start, end):
        if isinstance(source, Path):
            table = _stored(source, schema)
        else:
            records, unfinished = source
            table, torn = _table(records, schema), torn + unfinished
        for bound, keep in ((start, pc.greater_equal), (end, pc.less)):
            if bound is not None:
                table = table.filter(keep(table["time"], pa.scalar(bound, table["time"].type)))
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
    """Return every prediction's id, or every key that a predicted row brought."""
    import pyarrow.parquet as pq

    known: set[str | None] = set()
    for source in _sources(folder):
        if isinstance(source, Path):
            known.update(pq.read_table(source, columns=[by], partitioning=None)[by].to_pylist())
        else:
            known.update(record[by] for record in source[0])
    return {value for value in known if value is not None}


def newest(folder: Path, *, before: datetime) -> datetime | None:
    """Return the newest event time, of those before `before`, that a row brought; None where none did."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with opened(folder) as (segments, stored):
        lines = (record for file in segments.values() for records, _ in _lines(file) for record in records)
        times = (datetime.fromisoformat(record["time"]) for record in lines if record["time"])
        found = max((time for time in times if time < before), default=None)
    for path in reversed(stored):  # the newest month first
        month = path.parent.name
        if found is not None and month < _month(found):
            break
        if month > _month(before) or path.stem in segments:
            continue
        rows = pq.read_table(path, columns=["time", "at"], partitioning=None)
        time = rows["time"]
        # Where a row brought none, the time it was recorded stands in its place.
        brought = time.filter(
            pc.and_(pc.not_equal(time, rows["at"]), pc.less(time, pa.scalar(before, time.type)))
        )
        latest = pc.max(brought).as_py()
        found = max(filter(None, (found, latest)), default=None)
    return found and found.astimezone(UTC)


def find(folder: Path, id: str) -> Record | None:
    """Return the record of one prediction as its service wrote it, if there is one."""
    import pyarrow.parquet as pq

    for source in _sources(folder):
        if isinstance(source, Path):
            # Ids begin with their time, so the statistics of most files say it is not there.
            rows = pq.read_table(source, columns=["served"], filters=[("id", "==", id)], partitioning=None)
            found = [orjson.loads(line) for line in rows["served"].to_pylist()]
        else:
            found = [record for record in source[0] if record["id"] == id]
        if found:
            return dict(found[0])
    return None


@contextmanager
def opened(folder: Path) -> Iterator[tuple[dict[str, BinaryIO], list[Path]]]:
    """Open the log as it is now: its segments' lines by name, and its Parquet files.

    A row may be in both, where a compaction came between; then its segment's lines count.
    """
    with ExitStack() as stack:
        segments = _opened(folder, stack)
        # Listed after the lines: what was compacted in between is seen here, never in neither.
        yield segments, sorted(folders(folder).parquet.glob("*/*.parquet"))


def _collect_dead(folder: Path) -> None:
    for path in sorted(folders(folder).open.glob("*.jsonl")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # closed by its writer since it was listed
        try:
            if hold(file) and path.exists():
                close(path)
        finally:
            os.close(file)


def _sources(
    folder: Path, start: datetime | None = None, end: datetime | None = None
) -> Iterator[Path | tuple[list[Record], int]]:
    """Yield each segment once: its lines as records, with the torn ones counted, or its Parquet."""
    with opened(folder) as (segments, stored):
        for file in segments.values():
            yield from _lines(file)
    for path in stored:
        early = start is not None and path.parent.name < _month(start)
        late = end is not None and path.parent.name > _month(end)
        if not (early or late or path.stem in segments):
            yield path


def _opened(folder: Path, stack: ExitStack) -> dict[str, BinaryIO]:
    """Open all segments that still are lines; once open, a compaction cannot take them away."""
    while True:
        segments: dict[str, BinaryIO] = {}
        try:
            for place in (folders(folder).open, folders(folder).closed):
                for path in sorted(place.glob("*.jsonl")):
                    segments[path.stem] = stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            continue  # one moved on since it was listed
        return segments


def _lines(file: BinaryIO) -> Iterator[tuple[list[Record], int]]:
    """Yield records some thousand at a time, so that memory does not grow with the segment."""
    while lines := list(islice(file, _CHUNK)):
        records, torn = [], 0
        for line in lines:
            try:
                records.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                torn += 1
        yield records, torn


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _worded(value: Any) -> str:
    """Return what was served as the text it names, also where the column was no category yet."""
    return value if type(value) is str else spelled(float(value))


def _counted(value: Any) -> float | None:
    """Return what was served as a number, also where the column was a category still."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _month(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:7]


def _month_of(record: Record) -> str:
    """Name the partition of a line. Lines come from a service: none may name a path."""
    month = str(record["time"] or record["at"])[:7]
    return month if re.fullmatch(r"\d{4}-\d{2}", month) else "unknown"


def _store(segment: Path, schema: Schema, folder: Path) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, torn = [], 0
    with segment.open("rb") as file:
        for records, unfinished in _lines(file):
            # The columns are for reading windows fast. The line as served stays beside them, for
            # a later schema, or a question about one prediction, to find what they leave out.
            served = [_json(record) for record in records]
            months = [_month_of(record) for record in records]
            table = _table(records, schema).append_column("served", pa.array(served, pa.string()))
            tables.append(table.append_column("month", pa.array(months, pa.string())))
            torn += unfinished
    if not tables:
        return 0, torn
    whole = pa.concat_tables(tables)
    for month in sorted(whole["month"].unique().to_pylist()):
        rows = whole.filter(pc.equal(whole["month"], month)).drop_columns(["month"])
        parquet.write(rows, folder / month / f"{segment.stem}.parquet")
    return len(whole), torn


def _stored(path: Path, schema: Schema) -> pa.Table:
    import pyarrow.parquet as pq

    wanted, have = _table([], schema).schema, pq.read_schema(path)
    if {(field.name, field.type) for field in wanted} <= {(field.name, field.type) for field in have}:
        return pq.read_table(path, columns=wanted.names, partitioning=None)
    lines = pq.read_table(path, columns=["served"], partitioning=None)["served"]
    return _table([orjson.loads(line) for line in lines.to_pylist()], schema)


def _table(records: list[Record], schema: Schema) -> pa.Table:
    """Lay records out in columns. Labels and class scores are JSON: they may be text, numbers or truth."""
    import pyarrow as pa

    def text(name: str) -> pa.Array:
        return pa.array([record[name] for record in records], pa.string())

    def moment(name: str) -> pa.Array:
        times = [datetime.fromisoformat(record[name] or record["at"]) for record in records]
        return pa.array(times, pa.timestamp("us", "UTC"))

    def feature(name: str, kind: Kind) -> pa.Array:
        values = [record["features"].get(name) for record in records]
        if kind == "date":
            return pa.array([date(value) for value in values], pa.timestamp("us", "UTC"))
        if kind in TEXTUAL:
            return pa.array(["" if value is None else _worded(value) for value in values], pa.string())
        return numbers(values).fill_null(nan)

    def date(value: Any) -> datetime | None:
        try:
            return moments.from_text(value)
        except (TypeError, ValueError):  # none, or what was served as another kind
            return None

    def numbers(values: list[Any]) -> pa.Array:
        try:
            return pa.array(values, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # truth, or what was served as another kind
            return pa.array(map(_counted, values), pa.float64())

    def answer(name: str, *, number: bool) -> pa.Array:
        values = [record[name] for record in records]
        return numbers(values) if number else pa.array(map(_json, values), pa.string())

    return pa.table(
        {
            **{name: text(name) for name in ("id", "key")},
            **{name: moment(name) for name in ("time", "at")},
            **{name: text(name) for name in ("deployment", "version")},
            **{name: feature(name, kind) for name, kind in schema.features.items() if name != schema.time},
            "prediction": answer("prediction", number=schema.task == "regression"),
            "score": answer("score", number=schema.task != "multiclass"),
        }
    )
