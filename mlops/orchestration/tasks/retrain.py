"""Retraining: the policy's decision to start one, and the record of its outcome."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mlops.errors import MlopsError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.records import (
    DriftChecked,
    DriftConfirmed,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    ModelRolledBack,
    QualityChecked,
    RetrainFinished,
    RetrainRefused,
    RetrainStarted,
)
from mlops.monitoring.retraining import may_start, untrainable
from mlops.orchestration import flow_run
from mlops.orchestration.orphans import mark
from mlops.orchestration.task import step
from mlops.project.context import Project

__all__ = [
    "abandon",
    "claim",
    "confirm",
    "earlier_verdict",
    "exclusive",
    "finish",
    "flow_parameters",
    "give_up",
    "pending_drift",
]

log = logging.getLogger("mlops")


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the project's lock for trainings and for changes of the loop's tree.

    Two trainings at once would be judged against the same champion.

    Raises
    ------
    ConflictError
        Another process holds it: raised at once in a command, after a wait in a run of Prefect's.
    """
    project = Project.at(root)
    mark(project.folder.home)
    refusal = "Another training of this project is running."
    remedy = "Wait for it to finish (see `mlops status`), then try again."
    with project.hold("retrain", patience=flow_run.patience(), refusal=refusal, remedy=remedy):
        yield


@step(name="check the retraining policy")
def claim(
    root: Path, as_of: datetime | None, cause: str | None
) -> Entry[RetrainStarted | RetrainFinished | RetrainRefused]:
    """Record that a retraining starts, or that the policy rejects it.

    First, the end of an earlier one is recorded that was killed after its promotion and is not repeated.

    Parameters
    ----------
    as_of
        For a person's retraining; default: just after the newest served row.
    cause
        The id of the ledger's ``drift.confirmed``, which has its own `as_of`; None for a run of a
        person or a schedule.

    Returns
    -------
    ``retrain.started``, whose `explicit_as_of` tells that a person set it; or the outcome that this
    cause already has: ``retrain.refused`` or ``retrain.finished``.

    Raises
    ------
    UsageError
        The ledger has no confirmed drift with this id.
    """
    project = Project.at(root)
    drift = _confirmed(project, cause) if cause else None
    explicit_as_of = drift is None and as_of is not None
    if drift is not None:
        as_of = drift.as_of
        outcome = _outcome_of(project, drift)
        if outcome is not None:
            return outcome
    _end_killed(project)
    as_of = project.moment(as_of)
    broken = _broken_columns(project, drift, as_of)
    refusal = may_start(
        as_of=as_of,
        last_retrain_as_of=_last_training(project, as_of),
        policy=project.params.retrain,
        broken=broken,
        requested=drift is None,
        follow_up=drift is not None and drift.record.follow_up,
    )
    if refusal is not None:
        refused = RetrainRefused(rule=refusal.cause, reason=refusal.reason)
        return project.ledger.record(refused, cause=drift, as_of=as_of)
    for name, note in broken.items():
        log.warning("%s is broken and is trained on as served: %s.", name, note)
    return project.ledger.record(RetrainStarted(explicit_as_of=explicit_as_of), cause=drift, as_of=as_of)


def earlier_verdict(root: Path, started: Entry[RetrainStarted]) -> Entry[GateJudged] | None:
    """Return the gate's verdict that promoted an earlier attempt for the same cause.

    Its model only needs a deployment. A verdict without a promotion does not count: the champion it was
    judged against may have changed.
    """
    project = Project.at(root)
    attempts = project.ledger.effects(started.cause, RetrainStarted) if started.cause else []
    return next(filter(None, (_promoting_verdict(project, attempt) for attempt in attempts)), None)


@step(name="record the outcome")
def finish(
    root: Path, started: Entry[RetrainStarted], judged: Entry[GateJudged | ModelRolledBack]
) -> Entry[RetrainFinished]:
    """Record the outcome of a retraining; a rejection by the gate is no failure."""
    return _finish(Project.at(root), started, judged)


def give_up(root: Path, started: Entry[RetrainStarted], error: MlopsError) -> str:
    """Record that there is too little data for a retraining; return the sentence."""
    refused = RetrainRefused(rule="too_few_rows", reason=str(error))
    ledger = Project.at(root).ledger
    return ledger.record(refused, cause=started.cause or started, as_of=started.as_of).record.sentence


def abandon(project: Project, drift: Entry[DriftConfirmed], *, attempts: int) -> Entry[RetrainRefused]:
    """Record that a retraining failed too often to be retried automatically."""
    reason = (
        f"the retraining failed {attempts} times. See its runs in Prefect, fix the cause, "
        "and run `mlops retrain`."
    )
    refused = RetrainRefused(rule="attempts", reason=reason)
    return project.ledger.record(refused, cause=drift, as_of=drift.as_of)


def pending_drift(project: Project) -> list[Entry[DriftConfirmed]]:
    """Return confirmed drifts without a retraining's outcome, oldest first.

    A monitoring killed between the verdict and `confirm` leaves the verdict only: it is confirmed here.
    """
    entries = project.ledger.entries(DriftChecked, QualityChecked)
    checks = (entry for entry in entries if entry.record.starts_retraining)
    drifts = (confirm(project, check) for check in checks)
    return [drift for drift in drifts if _outcome_of(project, drift) is None]


def confirm(project: Project, checked: Entry[DriftChecked | QualityChecked]) -> Entry[DriftConfirmed]:
    """Record that a verdict calls for a retraining, once."""
    verdict = checked.record
    window = verdict if isinstance(verdict, DriftChecked) else None
    confirmed = DriftConfirmed(
        version=verdict.version,
        columns=window.report.named("drift") if window else (),
        since=verdict.since,
        follow_up=window is not None and window.follow_up,
    )
    return project.ledger.record(confirmed, cause=checked, as_of=checked.as_of)


def flow_parameters(drift: Entry[DriftConfirmed]) -> dict[str, str]:
    """Return the flow's parameters for confirmed drift; the same for every starter, so runs have one name."""
    assert drift.as_of is not None
    return {"as_of": drift.as_of.isoformat(), "cause": drift.id}


def _end_killed(project: Project) -> None:
    """Record the end of the newest retraining without a cause, if it was killed after its promotion.

    One with a cause is started again, and ends then.
    """
    uncaused = [entry for entry in project.ledger.entries(RetrainStarted) if entry.cause is None]
    for started in uncaused[-1:]:
        judged = _promoting_verdict(project, started)
        if judged is not None and _outcome_of(project, started) is None:
            _finish(project, started, judged)


def _promoting_verdict(project: Project, started: Entry[RetrainStarted]) -> Entry[GateJudged] | None:
    """Return the verdict by which the model of this retraining was promoted, if it was."""
    for registered in project.ledger.effects(started, ModelRegistered):
        for judged in project.ledger.effects(registered, GateJudged):
            if project.ledger.effects(judged, ModelPromoted):
                return judged
    return None


def _finish(
    project: Project, started: Entry[RetrainStarted], judged: Entry[GateJudged | ModelRolledBack]
) -> Entry[RetrainFinished]:
    verdict = judged.record
    finished = RetrainFinished(
        started=started.id,
        judged=judged.id,
        version=verdict.version,
        promoted=verdict.promote,
        verdict=verdict.sentence,
    )
    return project.ledger.record(finished, cause=started.cause or started, as_of=started.as_of)


def _confirmed(project: Project, id: str) -> Entry[DriftConfirmed]:
    drift = project.ledger.get(id, DriftConfirmed)
    if drift is None:
        raise UsageError(
            f"The ledger has no confirmed drift {id!r}.",
            remedy="Omit the cause to retrain without one.",
        )
    return drift


def _outcome_of(
    project: Project, cause: Entry[DriftConfirmed | RetrainStarted]
) -> Entry[RetrainFinished | RetrainRefused] | None:
    return next(iter(project.ledger.effects(cause, RetrainFinished, RetrainRefused)), None)


def _last_training(project: Project, as_of: datetime) -> datetime | None:
    """Return when a model was trained last that was promoted: by a retraining, or as the champion."""
    # A rejection changed nothing: what it has to wait for is new rows, not time.
    finished = (entry for entry in project.ledger.entries(RetrainFinished) if entry.record.promoted)
    known = [entry.as_of for entry in finished if entry.as_of is not None and entry.as_of <= as_of]
    champion = project.promotion
    if champion is not None and champion.record.fitted_until is not None:
        known.append(champion.record.fitted_until + project.params.monitor.label_maturity)
    return max((moment for moment in known if moment <= as_of), default=None)


def _broken_columns(project: Project, drift: Entry[DriftConfirmed] | None, as_of: datetime) -> dict[str, str]:
    """Return what is broken in the window of the confirmed drift; without one, in the champion's newest."""
    if drift is not None:
        checked = _window_of(project, drift)
    else:
        champion = project.ledger.entries(ModelPromoted)[-1:]
        checks = project.ledger.effects(champion[0], DriftChecked) if champion else []
        judged = [check for check in checks if check.record.report.window.end <= as_of]
        checked = max(judged, key=lambda check: check.record.report.window.end, default=None)
    if checked is None:
        return {}
    return untrainable(checked.record.report, project.schema, accept=project.params.monitor.accept)


def _window_of(project: Project, drift: Entry[DriftConfirmed]) -> Entry[DriftChecked] | None:
    """Return the window as of which drift was confirmed, also where labels of an earlier one confirmed it."""
    again = project.ledger.get(drift.cause, QualityChecked)
    if again is None:
        return project.ledger.get(drift.cause, DriftChecked)
    earlier = project.ledger.get(again.cause, DriftChecked)
    if earlier is None:
        return None
    return project.ledger.find(DriftChecked, cause=earlier.cause, as_of=again.as_of) or earlier
