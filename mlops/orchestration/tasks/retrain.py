"""Retraining: whether a cause may start one, and the record of how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mlops.errors import MlopsError, UsageError
from mlops.ledger.store import Entry
from mlops.monitoring.drift import DriftReport
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
def claim(root: Path, as_of: datetime | None, cause: str | None) -> Entry:
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
        for entry in project.ledger.entries("retrain.finished")
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
        return project.ledger.record(
            "retrain.refused", cause=drift, as_of=as_of, sentence=f"Refused: {refusal.reason}"
        )
    return project.ledger.record("retrain.started", cause=drift, as_of=as_of, asked=asked)


def judged_before(root: Path, started: Entry) -> Entry | None:
    """Return the gate's verdict that an earlier attempt for the same cause already got.

    One that was promoted stands, and is only to be deployed. One that was judged against a
    champion of yesterday does not.
    """
    project = Project.at(root)
    attempts = (
        [e for e in project.ledger.effects(started.cause) if e.kind == "retrain.started"]
        if started.cause
        else []
    )
    return next(filter(None, (_promoted_by(project, attempt) for attempt in attempts)), None)


@step(name="record the outcome")
def finish(root: Path, started: Entry, *, promoted: bool, sentence: str) -> Entry:
    """Record how a retraining ended: a refusal by the gate is a success of the gate."""
    return _finish(Project.at(root), started, promoted=promoted, sentence=sentence)


def give_up(root: Path, started: Entry, why: MlopsError) -> str:
    """Record that a retraining cannot be done with the data there is; return the sentence."""
    sentence = f"Refused: {why}"
    Project.at(root).ledger.record(
        "retrain.refused", cause=started.cause or started, as_of=started.as_of, sentence=sentence
    )
    return sentence


def abandon(project: Project, drift: Entry, *, attempts: int) -> Entry:
    """Record that a retraining failed too often to be started again by itself."""
    sentence = (
        f"Refused: the retraining failed {attempts} times. See its runs in Prefect, mend the cause, "
        "and run `mlops retrain`."
    )
    return project.ledger.record("retrain.refused", cause=drift, as_of=drift.as_of, sentence=sentence)


def unanswered(project: Project) -> list[Entry]:
    """Return confirmed drifts that no retraining has answered yet, oldest first.

    Killed between the verdict and its announcement, a monitoring leaves the verdict: it is
    announced here.
    """
    checks = (entry for entry in project.ledger.entries("drift.checked") if entry.body["confirmed"])
    return [
        drift for drift in (confirm(project, check) for check in checks) if _answer(project, drift) is None
    ]


def confirm(project: Project, checked: Entry) -> Entry:
    """Record that a verdict confirms drift, once."""
    return project.ledger.record_once(
        f"confirmed:{checked.id}",
        "drift.confirmed",
        cause=checked,
        as_of=checked.as_of,
        sentence=checked.body["sentence"],
    )


def asked_by(drift: Entry) -> dict[str, str]:
    """Return what confirmed drift asks of the flow, whoever starts it: the runs are called the same."""
    assert drift.as_of is not None
    return {"as_of": drift.as_of.isoformat(), "cause": drift.id}


def _end_killed(project: Project) -> None:
    """Record the end of the newest retraining without a cause, where it was killed after its promotion.

    One with a cause is begun again, and ends then.
    """
    uncaused = [entry for entry in project.ledger.entries("retrain.started") if entry.cause is None]
    for started in uncaused[-1:]:
        judged = _promoted_by(project, started)
        if judged is not None and _answer(project, started) is None:
            _finish(project, started, promoted=True, sentence=judged.body["reason"])


def _promoted_by(project: Project, started: Entry) -> Entry | None:
    """Return the verdict by which what this retraining made was promoted, if it was."""
    for registered in _of_kind(project, started, "model.registered"):
        for judged in _of_kind(project, registered, "gate.judged"):
            if _of_kind(project, judged, "model.promoted"):
                return judged
    return None


def _finish(project: Project, started: Entry, *, promoted: bool, sentence: str) -> Entry:
    return project.ledger.record(
        "retrain.finished",
        cause=started.cause or started,
        as_of=started.as_of,
        started=started.id,
        promoted=promoted,
        sentence=sentence,
    )


def _confirmed(project: Project, id: str) -> Entry:
    drift = project.ledger.get(id)
    if drift is None or drift.kind != "drift.confirmed":
        raise UsageError(
            f"{id!r} is no confirmed drift of this project's ledger.",
            remedy="Leave the cause out to retrain without one.",
        )
    return drift


def _answer(project: Project, drift: Entry) -> Entry | None:
    return next(iter(_of_kind(project, drift, "retrain.finished", "retrain.refused")), None)


def _of_kind(project: Project, cause: Entry, *kinds: str) -> list[Entry]:
    return [entry for entry in project.ledger.effects(cause) if entry.kind in kinds]


def _invalid_columns(project: Project, drift: Entry | None) -> list[str]:
    checked = project.ledger.get(drift.cause or "") if drift else None
    if checked is None:
        return []
    invalid = DriftReport.from_dict(checked.body["report"]).named("invalid")
    # A verdict of before may say it of the model's answer, from which nothing is learnt.
    return [name for name in invalid if name in project.schema.features]
