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
from mlops.project.context import Loop

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
    loop = Loop.at(root)
    mark(loop.project.home)
    refusal, remedy = "Another training of this project is running.", "Wait for it: see `mlops status`."
    with loop.hold("retrain", patience=flow_run.patience(), refusal=refusal, remedy=remedy):
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
    loop = Loop.at(root)
    drift = _confirmed(loop, cause) if cause else None
    asked = drift is None and as_of is not None
    if drift is not None:
        as_of = drift.as_of
        answered = _answer(loop, drift)
        if answered is not None:
            return answered
    _end_killed(loop)
    as_of = loop.moment(as_of)
    earlier = [
        entry.as_of
        for entry in loop.ledger.entries("retrain.finished")
        if entry.as_of is not None and entry.as_of <= as_of
    ]
    refusal = may_start(
        as_of=as_of,
        last_retrain_as_of=max(earlier, default=None),
        policy=loop.params.retrain,
        invalid_columns=_invalid_columns(loop, drift),
        asked=drift is None,
    )
    if refusal is not None:
        return loop.ledger.record(
            "retrain.refused", cause=drift, as_of=as_of, sentence=f"Refused: {refusal.reason}"
        )
    return loop.ledger.record("retrain.started", cause=drift, as_of=as_of, asked=asked)


def judged_before(root: Path, started: Entry) -> Entry | None:
    """Return the gate's verdict that an earlier attempt for the same cause already got.

    One that was promoted stands, and is only to be deployed. One that was judged against a
    champion of yesterday does not.
    """
    loop = Loop.at(root)
    attempts = (
        [e for e in loop.ledger.effects(started.cause) if e.kind == "retrain.started"]
        if started.cause
        else []
    )
    return next(filter(None, (_promoted_by(loop, attempt) for attempt in attempts)), None)


@step(name="record the outcome")
def finish(root: Path, started: Entry, *, promoted: bool, sentence: str) -> Entry:
    """Record how a retraining ended: a refusal by the gate is a success of the gate."""
    return _finish(Loop.at(root), started, promoted=promoted, sentence=sentence)


def give_up(root: Path, started: Entry, why: MlopsError) -> str:
    """Record that a retraining cannot be done with the data there is; return the sentence."""
    sentence = f"Refused: {why}"
    Loop.at(root).ledger.record(
        "retrain.refused", cause=started.cause or started, as_of=started.as_of, sentence=sentence
    )
    return sentence


def abandon(loop: Loop, drift: Entry, *, attempts: int) -> Entry:
    """Record that a retraining failed too often to be started again by itself."""
    sentence = (
        f"Refused: the retraining failed {attempts} times. See its runs in Prefect, mend the cause, "
        "and run `mlops retrain`."
    )
    return loop.ledger.record("retrain.refused", cause=drift, as_of=drift.as_of, sentence=sentence)


def unanswered(loop: Loop) -> list[Entry]:
    """Return confirmed drifts that no retraining has answered yet, oldest first.

    Killed between the verdict and its announcement, a monitoring leaves the verdict: it is
    announced here.
    """
    checks = (entry for entry in loop.ledger.entries("drift.checked") if entry.body["confirmed"])
    return [drift for drift in (confirm(loop, check) for check in checks) if _answer(loop, drift) is None]


def confirm(loop: Loop, checked: Entry) -> Entry:
    """Record that a verdict confirms drift, once."""
    return loop.ledger.record_once(
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


def _end_killed(loop: Loop) -> None:
    """Record the end of the newest retraining without a cause, where it was killed after its promotion.

    One with a cause is begun again, and ends then.
    """
    uncaused = [entry for entry in loop.ledger.entries("retrain.started") if entry.cause is None]
    for started in uncaused[-1:]:
        judged = _promoted_by(loop, started)
        if judged is not None and _answer(loop, started) is None:
            _finish(loop, started, promoted=True, sentence=judged.body["reason"])


def _promoted_by(loop: Loop, started: Entry) -> Entry | None:
    """Return the verdict by which what this retraining made was promoted, if it was."""
    for registered in _of_kind(loop, started, "model.registered"):
        for judged in _of_kind(loop, registered, "gate.judged"):
            if _of_kind(loop, judged, "model.promoted"):
                return judged
    return None


def _finish(loop: Loop, started: Entry, *, promoted: bool, sentence: str) -> Entry:
    return loop.ledger.record(
        "retrain.finished",
        cause=started.cause or started,
        as_of=started.as_of,
        started=started.id,
        promoted=promoted,
        sentence=sentence,
    )


def _confirmed(loop: Loop, id: str) -> Entry:
    drift = loop.ledger.get(id)
    if drift is None or drift.kind != "drift.confirmed":
        raise UsageError(
            f"{id!r} is no confirmed drift of this project's ledger.",
            remedy="Leave the cause out to retrain without one.",
        )
    return drift


def _answer(loop: Loop, drift: Entry) -> Entry | None:
    return next(iter(_of_kind(loop, drift, "retrain.finished", "retrain.refused")), None)


def _of_kind(loop: Loop, cause: Entry, *kinds: str) -> list[Entry]:
    return [entry for entry in loop.ledger.effects(cause) if entry.kind in kinds]


def _invalid_columns(loop: Loop, drift: Entry | None) -> list[str]:
    checked = loop.ledger.get(drift.cause or "") if drift else None
    if checked is None:
        return []
    invalid = DriftReport.from_dict(checked.body["report"]).named("invalid")
    # A verdict of before may say it of the model's answer, from which nothing is learnt.
    return [name for name in invalid if name in loop.schema.features]
