"""Retraining: whether a cause may start one, and the record of how it ended."""

from __future__ import annotations

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
    RetrainFinished,
    RetrainRefused,
    RetrainStarted,
)
from mlops.monitoring.retraining import may_start
from mlops.orchestration import flow_run
from mlops.orchestration.orphans import mark
from mlops.orchestration.task import step
from mlops.project.context import Project

__all__ = [
    "abandon",
    "alone",
    "asked_by",
    "claim",
    "confirm",
    "finish",
    "give_up",
    "judged_before",
    "unanswered",
]


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the project's one place for a training, and for a change of the loop's own tree.

    Two trainings at once would judge against the same champion.

    Raises
    ------
    ConflictError
        Another holds it: a person is told at once, what Prefect started waits a while.
    """
    project = Project.at(root)
    mark(project.folder.home)
    refusal, remedy = "Another training of this project is running.", "Wait for it: see `mlops status`."
    with project.hold("retrain", patience=flow_run.patience(), refusal=refusal, remedy=remedy):
        yield


@step(name="ask the policy")
def claim(
    root: Path, as_of: datetime | None, cause: str | None
) -> Entry[RetrainStarted | RetrainFinished | RetrainRefused]:
    """Record that a retraining starts, or that the policy refuses it.

    An earlier one that was killed after its promotion, and that nothing begins again, gets its end first.

    Parameters
    ----------
    as_of
        For a person's retraining; the newest served row's time where none is given.
    cause
        The id of the ledger's ``drift.confirmed``, which knows its own `as_of`; None where a
        person or a schedule asked.

    Returns
    -------
    ``retrain.started``, whose `asked` says that a person named the `as_of`; or an answer this cause
    got already: ``retrain.refused`` or ``retrain.finished``.

    Raises
    ------
    UsageError
        The ledger has no confirmed drift of this id: whoever sent it is not ours.
    """
    project = Project.at(root)
    drift = _confirmed(project, cause) if cause else None
    asked = drift is None and as_of is not None
    if drift is not None:
        as_of = drift.as_of
        answered = _answer(project, drift)
        if answered is not None:
            return answered
    _end_killed(project)
    as_of = project.moment(as_of)
    earlier = [
        entry.as_of
        for entry in project.ledger.entries(RetrainFinished)
        if entry.as_of is not None and entry.as_of <= as_of
    ]
    refusal = may_start(
        as_of=as_of,
        last_retrain_as_of=max(earlier, default=None),
        policy=project.params.retrain,
        invalid_columns=_invalid_columns(project, drift),
        asked=drift is None,
    )
    if refusal is not None:
        refused = RetrainRefused(rule=refusal.cause, reason=refusal.reason)
        return project.ledger.record(refused, cause=drift, as_of=as_of)
    return project.ledger.record(RetrainStarted(asked=asked), cause=drift, as_of=as_of)


def judged_before(root: Path, started: Entry[RetrainStarted]) -> Entry[GateJudged] | None:
    """Return the gate's verdict that an earlier attempt for the same cause already got.

    One that was promoted stands, and is only to be deployed. One that was judged against a
    champion of yesterday does not.
    """
    project = Project.at(root)
    attempts = project.ledger.effects(started.cause, RetrainStarted) if started.cause else []
    return next(filter(None, (_promoted_by(project, attempt) for attempt in attempts)), None)


@step(name="record the outcome")
def finish(
    root: Path, started: Entry[RetrainStarted], judged: Entry[GateJudged | ModelRolledBack]
) -> Entry[RetrainFinished]:
    """Record how a retraining ended: a rejection by the gate is a success of the gate."""
    return _finish(Project.at(root), started, judged)


def give_up(root: Path, started: Entry[RetrainStarted], why: MlopsError) -> str:
    """Record that a retraining cannot be done with the data there is; return the sentence."""
    refused = RetrainRefused(rule="too_few_rows", reason=str(why))
    ledger = Project.at(root).ledger
    return ledger.record(refused, cause=started.cause or started, as_of=started.as_of).record.sentence


def abandon(project: Project, drift: Entry[DriftConfirmed], *, attempts: int) -> Entry[RetrainRefused]:
    """Record that a retraining failed too often to be started again by itself."""
    reason = (
        f"the retraining failed {attempts} times. See its runs in Prefect, fix the cause, "
        "and run `mlops retrain`."
    )
    refused = RetrainRefused(rule="attempts", reason=reason)
    return project.ledger.record(refused, cause=drift, as_of=drift.as_of)


def unanswered(project: Project) -> list[Entry[DriftConfirmed]]:
    """Return confirmed drifts that no retraining has answered yet, oldest first.

    Killed between the verdict and its announcement, a monitoring leaves the verdict: it is
    announced here.
    """
    checks = (entry for entry in project.ledger.entries(DriftChecked) if entry.record.confirmed)
    return [
        drift for drift in (confirm(project, check) for check in checks) if _answer(project, drift) is None
    ]


def confirm(project: Project, checked: Entry[DriftChecked]) -> Entry[DriftConfirmed]:
    """Record that a verdict confirms drift, once."""
    verdict = checked.record
    confirmed = DriftConfirmed(version=verdict.version, columns=verdict.report.named("drift"))
    return project.ledger.record(confirmed, cause=checked, as_of=checked.as_of)


def asked_by(drift: Entry[DriftConfirmed]) -> dict[str, str]:
    """Return what confirmed drift asks of the flow, whoever starts it: the runs are called the same."""
    assert drift.as_of is not None
    return {"as_of": drift.as_of.isoformat(), "cause": drift.id}


def _end_killed(project: Project) -> None:
    """Record the end of the newest retraining without a cause, where it was killed after its promotion.

    One with a cause is begun again, and ends then.
    """
    uncaused = [entry for entry in project.ledger.entries(RetrainStarted) if entry.cause is None]
    for started in uncaused[-1:]:
        judged = _promoted_by(project, started)
        if judged is not None and _answer(project, started) is None:
            _finish(project, started, judged)


def _promoted_by(project: Project, started: Entry[RetrainStarted]) -> Entry[GateJudged] | None:
    """Return the verdict by which what this retraining made was promoted, if it was."""
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
            f"{id!r} is no confirmed drift of this project's ledger.",
            remedy="Leave the cause out to retrain without one.",
        )
    return drift


def _answer(
    project: Project, cause: Entry[DriftConfirmed | RetrainStarted]
) -> Entry[RetrainFinished | RetrainRefused] | None:
    return next(iter(project.ledger.effects(cause, RetrainFinished, RetrainRefused)), None)


def _invalid_columns(project: Project, drift: Entry[DriftConfirmed] | None) -> list[str]:
    checked = project.ledger.get(drift.cause, DriftChecked) if drift else None
    if checked is None:
        return []
    # A verdict of before may say it of the model's answer, from which nothing is learnt.
    return [name for name in checked.record.report.named("invalid") if name in project.schema.features]
