"""A segment of the prediction log: a file of lines, each what is kept of one answered row.

A leaf that the serving image carries: numpy and orjson are all it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mlops.errors import UnavailableError
from mlops.rows import Rows
from mlops.task_types.predictions import Predictions

__all__ = [
    "FORMAT",
    "Folders",
    "Record",
    "commit",
    "folders",
    "open_folder",
    "records",
    "remove_unused",
    "stage",
    "to_lines",
    "written_segments",
]

Record = dict[str, Any]

FORMAT = 1
"""Of a record, as a line and as it is compacted."""


@dataclass(frozen=True)
class Folders:
    """Where a log keeps its segments.

    Parameters
    ----------
    open, closed
        Lines: of services that write, in a folder each, and of those that ended.
    parquet
        What was compacted, a folder a month.
    staged
        Whole segments that wait for `commit`.
    """

    open: Path
    closed: Path
    parquet: Path
    staged: Path


def folders(log: Path) -> Folders:
    """Return the folders of a log."""
    return Folders(log / "open", log / "closed", log / "parquet", log / "staged")


def open_folder(log: Path, deployment: str) -> Path:
    """Return the folder of the segments that a deployment writes, all that its container sees of the log."""
    return folders(log).open / deployment


def written_segments(log: Path) -> list[Path]:
    """Return the segments in the folders of deployments, in the order of their names.

    By its name each is of its folder's deployment: a container that was broken into could else put its lines
    in the place of another's segment.
    """
    return [
        path
        for path in sorted(folders(log).open.glob("*/*.jsonl"))
        if re.fullmatch(rf"{re.escape(path.parent.name)}-\d+-\d+", path.stem)
    ]


def remove_unused(log: Path, deployments: Collection[str]) -> None:
    """Remove the empty folders of deployments that are not among these, and will write no more."""
    for folder in folders(log).open.glob("*"):
        if folder.name not in deployments:
            with suppress(OSError):  # it holds a segment that no compaction has taken yet
                folder.rmdir()


def records(
    rows: Rows, predictions: Predictions, *, ids: Sequence[str], at: datetime, deployment: str, version: str
) -> list[Record]:
    """Return what the log keeps of answered rows, a record each.

    Parameters
    ----------
    ids
        A prediction id per row.
    at
        When they were answered, UTC.
    deployment, version
        What answered.
    """
    moment = at.isoformat()
    scores = predictions.scores or [None] * len(ids)
    parts = zip(ids, rows.keys, rows.times, rows.served, predictions.values, scores, strict=True)
    return [
        {
            "id": id,
            "key": key,
            "time": time,
            "at": moment,
            "deployment": deployment,
            "version": version,
            "features": features,
            "prediction": prediction,
            "score": score,
        }
        for id, key, time, features, prediction, score in parts
    ]


def to_lines(records: Sequence[Record]) -> bytes:
    """Return records as JSON, a line each, which bears the format's version."""
    lines = ({"format": FORMAT, **record} for record in records)
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def stage(path: Path, records: Sequence[Record]) -> None:
    """Write a segment that no log has yet, for `commit`; it is on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(to_lines(records))
        file.flush()
        os.fsync(file.fileno())


def commit(folder: Path, staged: Iterable[Path]) -> None:
    """Commit staged segments into a log, each as a whole and a single time.

    A segment is known by its name: one that the log has had before, as lines or as Parquet,
    is dropped.

    Parameters
    ----------
    folder
        The log's, on the disk where the segments lie.

    Raises
    ------
    UnavailableError
        The log cannot be written; the same call again takes in what is left.
    """
    closed, stored = folders(folder).closed, folders(folder).parquet
    try:
        closed.mkdir(parents=True, exist_ok=True)
        for path in staged:
            # In this order: a compaction writes the Parquet before it takes the lines away.
            if (closed / path.name).exists() or any(stored.glob(f"*/{path.stem}.parquet")):
                path.unlink()
            else:
                path.rename(closed / path.name)
        _settle(closed)
    except OSError as exc:
        remedy = "Check that the folder can be written and the disk has space."
        raise UnavailableError("The prediction log", str(folder), remedy=remedy, cause=exc) from exc


def _settle(folder: Path) -> None:
    """Wait until the names in a folder, too, would outlast a loss of power."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
