"""Batch scoring: a whole table predicted by the champion, each row logged once."""

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

__all__ = ["exclusive", "find", "predict", "publish"]

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("mlops")

_BATCH = 50_000
"""Rows in memory at a time, and per segment of the log: a scoring resumes by segments, so this is fixed."""


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the project's lock for scorings: two of the same table would log it twice.

    Raises
    ------
    ConflictError
        Another process holds it: raised at once in a command, after a wait in a run of Prefect's.
    """
    refusal = "Another table of this project is being scored."
    remedy = "Wait for it to finish, then try again."
    with Project.at(root).hold("score", patience=flow_run.patience(), refusal=refusal, remedy=remedy):
        yield


@step(name="find the table and the model version")
def find(root: Path, table: Path | None = None, destination: Path | None = None) -> Scoring:
    """Resolve the table, the model version and the destination file.

    Parameters
    ----------
    table, destination
        Default: ``score`` in params.yaml. Relative paths start at the project's root.

    Raises
    ------
    UsageError
        Neither names one, or the destination is not valid.
    DataError
        The table does not exist.
    NothingPromotedError
        The project has no champion.
    """
    project = Project.at(root)
    promoted = project.promoted()
    version = promoted.record.version
    source = root / (table or _default(project.params.score.source, "source"))
    readers.format_of(source)
    wanted = root / (destination or _default(project.params.score.destination, "destination"))
    try:
        content = hashing.of_file(source)
    except OSError as exc:
        raise DataError(f"{source} cannot be read: {exc.strerror}.", remedy="Check the path.") from exc
    return Scoring(
        project=project.params.data.name,
        source=source,
        destination=resolve_destination(wanted, source, version),
        content=content,
        promotion=promoted.id,
        version=version,
    )


@step(name="predict every row")
def predict(root: Path, scoring: Scoring, *, logged: bool = True) -> int:
    """Predict the table's rows into staging files; return their number.

    Raises
    ------
    DataError
        A column is missing, or a value is invalid: column and row are named. Nothing is left behind.
    """
    project = Project.at(root)
    bundle = project.bundle_of(_promotion(project, scoring))
    predictor = load(bundle)
    check_golden(predictor, bundle)
    log_it, at, rows = _is_to_be_logged(project, scoring, logged), datetime.now(UTC), 0
    with _staged(project, scoring, readers.column_types(scoring.source, bundle.schema)) as (out, staged):
        for frame in readers.read_batches(scoring.source, bundle.schema, rows=_BATCH):
            features = conform.unlabelled(frame, bundle.schema)
            predicted = predictor.predict(features.columns)
            ids, version = scoring.ids(rows, len(frame)), scoring.version
            out.write(add_predictions(frame, predicted, bundle.model.classes, ids=ids, version=version))
            if log_it:
                model = {"deployment": scoring.deployment, "version": version}
                records = segment.records(features, predicted, ids=ids, at=at, **model)
                segment.stage(staged / f"{scoring.deployment}-{rows:012d}.jsonl", records)
            rows += len(frame)
            log.info("%s rows predicted", f"{rows:,}")
        if hashing.of_file(scoring.source) != scoring.content:
            raise DataError(
                f"{scoring.source} changed while it was scored.",
                remedy="Score it again once it is complete.",
            )
    return rows


@step(name="log the predictions and publish the table")
def publish(root: Path, scoring: Scoring, rows: int, *, logged: bool = True) -> str:
    """Commit the predictions to the prediction log, move the table to its destination, and record it.

    Returns
    -------
    What was done, a sentence. The ledger has one ``table.scored`` per content and promotion.
    """
    project = Project.at(root)
    destination, facts = Destination(scoring.destination), _facts(project, scoring, rows)
    done = f"{rows:,} rows of {scoring.source.name} scored by version {scoring.version}"
    done = f"{done} into {_shown(scoring.destination, root)}"
    if not logged:
        destination.publish()
        project.ledger.record(TableScored(logged=False, **facts), cause=scoring.promotion)
        return f"{done}; they are not in the prediction log."
    earlier = project.ledger.find(TableScored, scoring=scoring.digest, logged=True)
    if earlier is not None:
        destination.publish()
        return f"{done}, as on {earlier.recorded_at:%Y-%m-%d}: logged then, and not again."
    # As with the service, a prediction is logged before anybody can read it, and the ledger has the
    # deployment before the log names it. After a kill between any two lines, the same command writes
    # the same segments, and the log takes those that it lacks.
    started = project.ledger.record(ScoringStarted(**facts), cause=scoring.promotion)
    staged = _staged_segments(project, scoring)
    segment.commit(project.folder.predictions, sorted(staged.iterdir()))
    staged.rmdir()
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


def _staged_segments(project: Project, scoring: Scoring) -> Path:
    return segment.folders(project.folder.predictions).staged / scoring.deployment


@contextmanager
def _staged(project: Project, scoring: Scoring, types: pa.Schema) -> Iterator[tuple[Destination, Path]]:
    """Yield the staging files for the predictions: all are completed, or none is left."""
    out, staged = Destination(scoring.destination, types), _staged_segments(project, scoring)
    # Segments of a killed scoring: its repetition stages them again.
    shutil.rmtree(staged.parent, ignore_errors=True)
    try:
        yield out, staged
        out.close()
    except BaseException:
        out.discard()
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _shown(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
