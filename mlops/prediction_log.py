"""The prediction log: what every deployed model saw and answered, append-only.

A service appends JSON lines to a segment of its own under ``open/`` and holds a lock on it.
A segment that is full or whose service ended lies in ``closed/`` until `compact` turns it
into Parquet, one file per month of event time. Reading gives the same rows before, while
and after: as long as a segment's lines exist, its Parquet is not looked at.

The writer is part of the serving image and needs the standard library and orjson alone;
readers import pyarrow and pandas when they are called.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import orjson

from mlops import parquet
from mlops.errors import UnavailableError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops.schema import Kind, Schema

__all__ = ["Compacted", "PredictionLog", "compact", "find", "ids", "read"]

Record = dict[str, Any]

_ROLL_BYTES = 16 * 1024 * 1024
_CHUNK = 20_000


class PredictionLog:
    """The writing end, one per service process; safe for its threads.

    Parameters
    ----------
    folder
        The log's folder, shared by all services.
    deployment
        Names the segments written here.
    fsync
        Wait for the disk at each write, so that a power loss takes no row.
    roll_bytes
        A segment that reaches this size is closed and another begun.
    """

    def __init__(
        self, folder: Path, deployment: str, *, fsync: bool = False, roll_bytes: int = _ROLL_BYTES
    ) -> None:
        self._folder = folder
        self._deployment = deployment
        self._fsync = fsync
        self._roll_bytes = roll_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path = folder
        self._size = 0

    def write(self, records: Sequence[Record]) -> None:
        """Append `records` in a single system call; they are in the log when this returns.

        Raises
        ------
        UnavailableError
            They could not be written, and none of them is in the log.
        """
        lines = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        with self._lock, self._translated():
            self._append(self._segment(), lines)

    def check(self) -> None:
        """Raise `UnavailableError` where `write` would."""
        with self._lock, self._translated():
            if os.fstatvfs(self._segment()).f_bavail == 0:
                raise OSError("no space left")

    def close(self) -> None:
        """End the segment, so that it can be compacted. Writing again begins another."""
        with self._lock, self._translated():
            self._finish()

    def _append(self, file: int, lines: bytes) -> None:
        try:
            if os.write(file, lines) != len(lines):
                raise OSError("written in part, no space left")
            if self._fsync:
                os.fdatasync(file)
        except OSError:
            # Whoever asked gets no answer, so the log holds no row of it. Where that cannot be
            # mended, the torn line stays the last of its segment.
            self._file = None
            os.ftruncate(file, self._size)
            self._file = file
            raise
        self._size += len(lines)

    def _segment(self) -> int:
        # A file removed under the writer would take rows to nowhere.
        if self._file is not None and (self._size >= self._roll_bytes or not os.fstat(self._file).st_nlink):
            self._finish()
        if self._file is None:
            self._file = self._begin()
        return self._file

    def _begin(self) -> int:
        (self._folder / "open").mkdir(parents=True, exist_ok=True)
        while True:
            # In a container every service has the same pid; the clock tells segments apart.
            name = f"{self._deployment}-{os.getpid()}-{time.time_ns()}.jsonl"
            self._path = self._folder / "open" / name
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            self._size = 0
            if _held(file) and self._path.exists():
                return file
            os.close(file)  # taken for a dead writer's in the moment before it was locked

    def _finish(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            if os.fstat(file).st_nlink:
                _close_segment(self._path)
        finally:
            os.close(file)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            remedy = "Check that the folder can be written and the disk has space."
            raise UnavailableError("The prediction log", str(self._folder), remedy=remedy, cause=exc) from exc


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
        for litter in (folder / "parquet").glob("*/*.tmp"):
            litter.unlink()  # of a compaction that was killed
        for path in sorted((folder / "closed").glob("*.jsonl")):
            held, unfinished = _store(path, schema, folder / "parquet")
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


def _held(file: int) -> bool:
    """Lock the segment unless its writer holds it; the kernel lets go when a writer dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close_segment(path: Path) -> None:
    closed = path.parent.parent / "closed"
    closed.mkdir(exist_ok=True)
    path.rename(closed / path.name)


def _collect_dead(folder: Path) -> None:
    for path in sorted((folder / "open").glob("*.jsonl")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # closed by its writer since it was listed
        try:
            if _held(file) and path.exists():
                _close_segment(path)
        finally:
            os.close(file)


def _sources(
    folder: Path, start: datetime | None = None, end: datetime | None = None
) -> Iterator[Path | tuple[list[Record], int]]:
    """Yield each segment once: its lines as records, with the torn ones counted, or its Parquet."""
    with ExitStack() as stack:
        segments = _opened(folder, stack)
        # Listed after the lines: what was compacted in between is seen here, never in neither.
        stored = sorted((folder / "parquet").glob("*/*.parquet"))
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
            for state in ("open", "closed"):
                for path in sorted((folder / state).glob("*.jsonl")):
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
        if kind == "category":
            return pa.array([value if type(value) is str else "" for value in values], pa.string())
        return numbers(values).fill_null(nan)

    def numbers(values: list[Any]) -> pa.Array:
        try:
            return pa.array(values, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # truth, or what was served as another kind
            known = [float(value) if isinstance(value, int | float) else None for value in values]
            return pa.array(known, pa.float64())

    def answer(name: str, *, number: bool) -> pa.Array:
        values = [record[name] for record in records]
        return numbers(values) if number else pa.array(map(_json, values), pa.string())

    return pa.table(
        {
            **{name: text(name) for name in ("id", "key")},
            **{name: moment(name) for name in ("time", "at")},
            **{name: text(name) for name in ("deployment", "version")},
            **{name: feature(name, kind) for name, kind in schema.features.items()},
            "prediction": answer("prediction", number=schema.task == "regression"),
            "score": answer("score", number=schema.task != "multiclass"),
        }
    )
