"""Scoring in batch: a whole table answered by the champion, each of its rows logged once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import DataError, UsageError
from mlops.files import hashing
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ScoringStarted, TableScored
from mlops.model.predictor import check_golden, load
from mlops.orchestration import flow_run
from mlops.orchestration.task import step
from mlops.prediction_log import segment
from mlops.prediction_log.scored_table import Scoring, add_predictions, resolve_destination
from mlops.project.context import Project
from mlops.tables import conform, readers
from mlops.tables.writers import Destination

__all__ = ["alone", "answer", "find", "publish"]

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("mlops")

_BATCH = 50_000
"""Rows held at a time, and the rows of a segment of the log: a scoring goes on by segments, so this stays."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the project's one place for a scoring: two of one table would log it twice.

    Raises
    ------
    ConflictError
        Another holds it: a person is told at once, what Prefect started waits a while.
    """
    refusal, remedy = "Another table of this project is being scored.", "Wait for it, then try again."
    with Project.at(root).hold("score", patience=flow_run.patience(), refusal=refusal, remedy=remedy):
        yield


@step(name="find the table and the version that answers it")
def find(root: Path, table: Path | None = None, destination: Path | None = None) -> Scoring:
    """Settle what is scored, by which version, into which file.

    Parameters
    ----------
    table, destination
        Where one is not given, params.yaml names it under ``score``. Relative ones lie in the project.

    Raises
    ------
    UsageError
        Neither names one, or the destination cannot be one.
    DataError
        There is no such table.
    NothingPromotedError
        The project has no champion.
    """
    project = Project.at(root)
    promoted = project.promoted()
    version = promoted.record.version
    asked = root / (table or _default(project.params.score.source, "source"))
    readers.format_of(asked)
    wanted = root / (destination or _default(project.params.score.destination, "destination"))
    try:
        content = hashing.of_file(asked)
    except OSError as exc:
        raise DataError(f"{asked} cannot be read: {exc.strerror}.", remedy="Check the path.") from exc
    return Scoring(
        project=project.params.data.name,
        source=asked,
        destination=resolve_destination(wanted, asked, version),
        content=content,
        promotion=promoted.id,
        version=version,
    )


@step(name="answer every row")
def answer(root: Path, scoring: Scoring, *, logged: bool = True) -> int:
    """Answer the table's rows; nothing of it can be seen yet. Return how many they are.

    Raises
    ------
    DataError
        A column is missing, or a value cannot be used: column and row are named. Nothing is written.
    """
    project = Project.at(root)
    bundle = project.bundle_of(_promotion(project, scoring))
    predictor = load(bundle)
    check_golden(predictor, bundle)
    log_it, at, rows = _is_to_be_logged(project, scoring, logged), datetime.now(UTC), 0
    with _staged(project, scoring, readers.column_types(scoring.source, bundle.schema)) as (out, laid):
        for frame in readers.read_batches(scoring.source, bundle.schema, rows=_BATCH):
            asked = conform.unlabelled(frame, bundle.schema)
            predictions = predictor.predict(asked.columns)
            ids = scoring.ids(rows, len(frame))
            out.write(
                add_predictions(frame, predictions, bundle.model.classes, ids=ids, version=scoring.version)
            )
            if log_it:
                said = {"deployment": scoring.deployment, "version": scoring.version}
                records = segment.records(asked, predictions, ids=ids, at=at, **said)
                segment.lay(laid / f"{scoring.deployment}-{rows:012d}.jsonl", records)
            rows += len(frame)
            log.info("%s rows answered", f"{rows:,}")
        if hashing.of_file(scoring.source) != scoring.content:
            raise DataError(
                f"{scoring.source} changed while it was scored.",
                remedy="Score it again once it is complete.",
            )
    return rows


@step(name="log the answers and show the table")
def publish(root: Path, scoring: Scoring, rows: int, *, logged: bool = True) -> str:
    """Take the answers into the prediction log, put the table in its place, and tell the ledger.

    Returns
    -------
    What was done, a sentence. The ledger's ``table.scored`` stands once per content and promotion.
    """
    project = Project.at(root)
    destination, facts = Destination(scoring.destination), _facts(project, scoring, rows)
    done = f"{rows:,} rows of {scoring.source.name} scored by version {scoring.version}"
    done = f"{done} into {_shown(scoring.destination, root)}"
    if not logged:
        destination.publish()
        project.ledger.record(TableScored(logged=False, **facts), cause=scoring.promotion)
        return f"{done}; they are not in the prediction log."
    standing = project.ledger.find(TableScored, scoring=scoring.digest, logged=True)
    if standing is not None:
        destination.publish()
        return f"{done}, as on {standing.recorded_at:%Y-%m-%d}: they were logged then, and are not again."
    # As with the service, an answer is in the log before anybody sees it; and the ledger knows of
    # a deployment before the log names it. Killed between any two lines, the same command again
    # makes the same segments, of which the log takes those that it lacks, and ends.
    started = project.ledger.record(ScoringStarted(**facts), cause=scoring.promotion)
    laid = _laid(project, scoring)
    segment.adopt(project.folder.predictions, sorted(laid.iterdir()))
    laid.rmdir()
    destination.publish()
    project.ledger.record(TableScored(logged=True, **facts), cause=started)
    return f"{done}."


def _facts(project: Project, scoring: Scoring, rows: int) -> dict[str, Any]:
    return {
        "scoring": scoring.digest,
        "deployment": scoring.deployment,
        "version": scoring.version,
        "digest": _promotion(project, scoring).record.digest,
        "source": str(scoring.source),
        "destination": str(scoring.destination),
        "content": scoring.content,
        "rows": rows,
    }


def _promotion(project: Project, scoring: Scoring) -> Entry[ModelPromoted]:
    promoted = project.ledger.get(scoring.promotion, ModelPromoted)
    assert promoted is not None  # find() took it from there
    return promoted


def _is_to_be_logged(project: Project, scoring: Scoring, logged: bool) -> bool:
    return logged and project.ledger.find(TableScored, scoring=scoring.digest, logged=True) is None


def _default(value: str | None, key: str) -> Path:
    if value is None:
        raise UsageError(
            f"No {key} was given, and params.yaml names no score.{key}.",
            remedy=f"Run `mlops score SOURCE DESTINATION`, or set score.{key} in params.yaml.",
        )
    return Path(value).expanduser()


def _laid(project: Project, scoring: Scoring) -> Path:
    return segment.folders(project.folder.predictions).laid / scoring.deployment


@contextmanager
def _staged(project: Project, scoring: Scoring, types: pa.Schema) -> Iterator[tuple[Destination, Path]]:
    """Give what the answers are written to unseen: all of it is finished, or none is left."""
    out, laid = Destination(scoring.destination, types), _laid(project, scoring)
    # Whatever a killed scoring has laid: begun again, it lays its own anew.
    shutil.rmtree(laid.parent, ignore_errors=True)
    try:
        yield out, laid
        out.close()
    except BaseException:
        out.discard()
        shutil.rmtree(laid, ignore_errors=True)
        raise


def _shown(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
