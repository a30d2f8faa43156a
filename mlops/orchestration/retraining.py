"""Retraining: whether a cause may start one, and the record of how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from mlops.errors import ConflictError, MlopsError
from mlops.ledger import Entry
from mlops.orchestration.loop import Loop
from mlops.orchestration.step import step
from mlops.retrain import may_start

__all__ = ["abandon", "alone", "claim", "finish", "give_up", "unanswered"]


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the project's one place for a retraining.

    Raises
    ------
    ConflictError
        Another retraining holds it.
    """
    lock = Loop.at(root).lock("retrain", patience=1)
    try:
        lock.acquire()
    except Timeout as exc:
        raise ConflictError(
            "Another retraining of this project is running.", remedy="Wait for it: see `mlops status`."
        ) from exc
    try:
        yield
    finally:
        lock.release()


@step(name="ask the policy")
def claim(root: Path, as_of: datetime, cause: str | None) -> Entry:
    """Record that a retraining starts, or that the policy refuses it.

    Parameters
    ----------
    cause
        The id of the ledger's ``drift.confirmed``; None where a person asked.

    Returns
    -------
    ``retrain.started``, or an answer this cause got already: ``retrain.refused`` or
    ``retrain.finished``.
    """
    loop = Loop.at(root)
    answered = _answer(loop, cause) if cause else None
    if answered is not None:
        return answered
    finished = [e for e in loop.ledger.entries("retrain.finished") if e.as_of is not None]
    refusal = may_start(
        as_of=as_of,
        # A person who asks need not wait for the cooldown.
        last_retrain_as_of=finished[-1].as_of if finished and cause else None,
        policy=loop.params.retrain,
        invalid_columns=_invalid_columns(loop, cause),
    )
    if refusal is not None:
        return loop.ledger.record(
            "retrain.refused", cause=cause, as_of=as_of, sentence=f"Refused: {refusal.reason}"
        )
    return loop.ledger.record("retrain.started", cause=cause, as_of=as_of)


@step(name="record the outcome")
def finish(root: Path, started: Entry, *, promoted: bool, sentence: str) -> Entry:
    """Record how a retraining ended: a refusal by the gate is a success of the gate."""
    return Loop.at(root).ledger.record(
        "retrain.finished",
        cause=started.cause or started,
        as_of=started.as_of,
        started=started.id,
        promoted=promoted,
        sentence=sentence,
    )


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
    """Return confirmed drifts that no retraining has answered yet, oldest first."""
    return [e for e in loop.ledger.entries("drift.confirmed") if _answer(loop, e.id) is None]


def _answer(loop: Loop, cause: str) -> Entry | None:
    answers = (e for e in loop.ledger.effects(cause) if e.kind in {"retrain.finished", "retrain.refused"})
    return next(answers, None)


def _invalid_columns(loop: Loop, cause: str | None) -> list[str]:
    confirmed = loop.ledger.get(cause) if cause else None
    checked = loop.ledger.get(confirmed.cause or "") if confirmed else None
    if checked is None:
        return []
    return [c["column"] for c in checked.body["report"]["columns"] if c["verdict"] == "invalid"]
