"""Reproduce a registered version from its commit, and compare the two; without Prefect."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.scratch import Scratch
from mlops.config.paths import BUNDLE, HOLDOUT, LOCK
from mlops.errors import BundleError, DataError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ModelRegistered, ModelReproduced
from mlops.maintenance.packages import installed, unlocked
from mlops.model import bundle, predictor
from mlops.model.bundle import Bundle
from mlops.model.registry import CHAMPION
from mlops.model.reproducibility import (
    PredictionDifference,
    Reproduction,
    compare_predictions,
    differences,
    judge,
)
from mlops.project.context import Project
from mlops.stages.pipeline import STAGES
from mlops.tables.conform import columns_of, conform
from mlops.task_types.predictions import Predictions

__all__ = ["Rebuilt", "Subject", "find", "reproduce"]

log = logging.getLogger("mlops")

_SHORT = 12


@dataclass(frozen=True)
class Subject:
    """The version to reproduce.

    Parameters
    ----------
    commit
        Has the dvc.lock, parameters and data pointers of its training.
    entry
        Its row of the ledger; None if another machine registered it.
    """

    version: str
    digest: str
    commit: str
    entry: Entry[ModelPromoted | ModelRegistered] | None = None


@dataclass(frozen=True)
class Rebuilt:
    """A reproduced version, and the comparison.

    Parameters
    ----------
    tree
        The work tree it was rebuilt in; None if it was removed.
    """

    subject: Subject
    result: Reproduction
    tree: Path | None = None


def find(project: Project, wanted: str | None) -> Subject:
    """Return the version with a number or alias; default: the champion.

    The ledger is searched first, so that its versions need no MLflow.

    Raises
    ------
    UsageError
        There is no such version.
    UnavailableError
        The ledger does not have it, and MLflow does not respond.
    """
    if wanted is None or wanted == CHAMPION:
        return _subject(project.promoted())
    name = project.params.data.name
    for entry in reversed(project.ledger.entries(ModelRegistered)):
        if (entry.record.name, entry.record.version) == (name, wanted):
            return _subject(entry)
    version = project.registry.find(wanted)
    if version is None:
        raise UsageError(f"There is no version {wanted} of {name}.", remedy="See `mlops status`, or MLflow.")
    return Subject(version.version, version.digest, version.commit)


def reproduce(project: Project, subject: Subject, *, keep: bool) -> Rebuilt:
    """Rebuild a version from its commit, in a separate work tree, and compare the two.

    Every stage runs: neither DVC's run cache nor cached outputs are used. The person's tree and the
    loop's are not touched. After a kill, the next call removes what this one left.

    Parameters
    ----------
    keep
        Keep the work tree for inspection.

    Raises
    ------
    UsageError
        The repository lacks the commit.
    DataError
        Some of the data is missing or corrupt, and no remote has it.
    StageError
        A stage failed.
    ConflictError
        Another reproduction of this project is running.
    """
    folder = project.folder.reproductions
    refusal, remedy = (
        "Another `mlops reproduce` of this project is running.",
        "Wait for it, and run the command again.",
    )
    with project.hold("reproduce", patience=1, refusal=refusal, remedy=remedy):
        scratch = Scratch(project.folder.root, folder)
        scratch.sweep()
        registered = project.bundle(subject.digest, subject.version)
        with _work_tree(scratch, subject, project, keep=keep) as tree:
            rebuilt = _rebuild(tree)
            result = _compare(registered, rebuilt, tree)
        tree_kept = scratch.keep(tree) if keep else None
        project.ledger.record(_record(subject, result), cause=subject.entry)
    return Rebuilt(subject, result, tree_kept)


@contextmanager
def _work_tree(scratch: Scratch, subject: Subject, project: Project, *, keep: bool) -> Iterator[Path]:
    """Check out the version's commit with its data; the tree is removed if the work fails."""
    tree = scratch.begin(subject.digest[:_SHORT], subject.commit)
    done = False
    try:
        data = DvcTree(tree)
        data.share_cache(DvcTree(project.folder.root))
        _timed(f"check out commit {subject.commit[:_SHORT]} and its data", data.obtain)
        yield tree
        done = True
    finally:
        if not (done and keep):
            scratch.remove_worktree(tree)


def _rebuild(tree: Path) -> Bundle:
    DvcTree(tree).reproduce(_timed, stages=STAGES, force=True)
    return bundle.open(tree / BUNDLE)


def _compare(registered: Bundle, rebuilt: Bundle, tree: Path) -> Reproduction:
    if registered.digest == rebuilt.digest:
        return judge(registered, rebuilt, (), None)
    locked = tree / LOCK
    others = unlocked(locked.read_text("utf-8") if locked.is_file() else "", installed())
    differing = list(differences(registered, rebuilt, unlocked=others))
    return judge(registered, rebuilt, differing, _compare_predictions(registered, rebuilt, tree))


def _compare_predictions(registered: Bundle, rebuilt: Bundle, tree: Path) -> PredictionDifference | None:
    """Compare both models' predictions on the held-out rows; None if one of them cannot predict here."""
    import pandas as pd

    rows = pd.read_parquet(tree / HOLDOUT)

    def ask(model: Bundle) -> Predictions:
        return predictor.load(model).predict(columns_of(conform(rows, model.schema), model.schema))

    try:
        return compare_predictions(ask(registered), ask(rebuilt))
    except (BundleError, DataError) as exc:
        log.info("predictions not compared: %s", exc)
        return None


def _timed(name: str, body: Callable[[], object]) -> None:
    started = time.monotonic()
    body()
    log.info("%s · %.1f s", name, time.monotonic() - started)


def _subject(entry: Entry[ModelPromoted | ModelRegistered]) -> Subject:
    model = entry.record
    return Subject(model.version, model.digest, model.commit, entry)


def _record(subject: Subject, result: Reproduction) -> ModelReproduced:
    predicted = result.predictions
    return ModelReproduced(
        version=subject.version,
        digest=subject.digest,
        rebuilt=result.rebuilt,
        identical=result.identical,
        outcome=result.outcome,
        differences=tuple(str(each) for each in result.differences),
        rows=predicted.rows if predicted else None,
        differing=predicted.differing if predicted else None,
        largest=predicted.largest if predicted else None,
        summary=result.sentence,
    )
