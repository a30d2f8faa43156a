"""Reproducing: a registered version made again from its commit and compared; no Prefect in it."""

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
from mlops.model.reproducibility import Apart, Reproduction, apart, differences, judge
from mlops.project.context import Project
from mlops.stages.pipeline import STAGES
from mlops.tables.conform import columns_of, conform
from mlops.task_types.predictions import Predictions

__all__ = ["Again", "Subject", "find", "reproduce"]

log = logging.getLogger("mlops")

_SHORT = 12


@dataclass(frozen=True)
class Subject:
    """The version that is made again.

    Parameters
    ----------
    commit
        Holds the dvc.lock, parameters and data pointers of its training.
    entry
        The ledger's row of it; None where another machine registered it.
    """

    version: str
    digest: str
    commit: str
    entry: Entry[ModelPromoted | ModelRegistered] | None = None


@dataclass(frozen=True)
class Again:
    """A version that was made again, and what came of it.

    Parameters
    ----------
    tree
        Where it was made; None where that is gone.
    """

    subject: Subject
    result: Reproduction
    tree: Path | None = None


def find(project: Project, asked: str | None) -> Subject:
    """Return the version of a number or alias; the champion where none is asked for.

    The ledger is asked first, so that what it knows needs no MLflow.

    Raises
    ------
    UsageError
        There is no such version.
    UnavailableError
        The ledger doesn't know it, and MLflow does not respond.
    """
    if asked is None or asked == CHAMPION:
        return _subject(project.promoted())
    name = project.params.data.name
    for entry in reversed(project.ledger.entries(ModelRegistered)):
        if (entry.record.name, entry.record.version) == (name, asked):
            return _subject(entry)
    found = project.registry.find(asked)
    if found is None:
        raise UsageError(f"There is no version {asked} of {name}.", remedy="See `mlops status`, or MLflow.")
    return Subject(found.version, found.digest, found.commit)


def reproduce(project: Project, subject: Subject, *, keep: bool) -> Again:
    """Make a version again from its commit, in a work tree of its own, and compare the two.

    Every stage's command runs: neither DVC's run cache nor a cached output is asked. The person's
    tree and the loop's are not touched. Killed midway, the next call removes what this one left.

    Parameters
    ----------
    keep
        Leave the work tree there for a person to look into.

    Raises
    ------
    UsageError
        The repository lacks the commit.
    DataError
        Some of the data is missing or altered, and no remote has it.
    StageError
        A stage failed.
    ConflictError
        Another reproduction of this project is at work.
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
        kept = scratch.keep(tree) if keep else None
        project.ledger.record(_record(subject, result), cause=subject.entry)
    return Again(subject, result, kept)


@contextmanager
def _work_tree(scratch: Scratch, subject: Subject, project: Project, *, keep: bool) -> Iterator[Path]:
    """Check the version's commit out with its data; where the work fails, nothing of it stays."""
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
    others = unlocked(locked.read_text() if locked.is_file() else "", installed())
    found = list(differences(registered, rebuilt, unlocked=others))
    return judge(registered, rebuilt, found, _predicted(registered, rebuilt, tree))


def _predicted(registered: Bundle, rebuilt: Bundle, tree: Path) -> Apart | None:
    """Put the held-out rows to both models; None where one of them cannot answer them here."""
    import pandas as pd

    rows = pd.read_parquet(tree / HOLDOUT)

    def ask(model: Bundle) -> Predictions:
        return predictor.load(model).predict(columns_of(conform(rows, model.schema), model.schema))

    try:
        return apart(ask(registered), ask(rebuilt))
    except (BundleError, DataError) as exc:
        log.info("the two models cannot be compared by their answers: %s", exc)
        return None


def _timed(name: str, body: Callable[[], object]) -> None:
    started = time.monotonic()
    body()
    log.info("%s · %.1f s", name, time.monotonic() - started)


def _subject(entry: Entry[ModelPromoted | ModelRegistered]) -> Subject:
    model = entry.record
    return Subject(model.version, model.digest, model.commit, entry)


def _record(subject: Subject, result: Reproduction) -> ModelReproduced:
    apart = result.apart
    return ModelReproduced(
        version=subject.version,
        digest=subject.digest,
        rebuilt=result.rebuilt,
        identical=result.identical,
        outcome=result.outcome,
        differences=tuple(str(each) for each in result.differences),
        rows=apart.rows if apart else None,
        differing=apart.differing if apart else None,
        largest=apart.largest if apart else None,
        summary=result.sentence,
    )
