"""Going back: a version that was promoted before is the champion again, because a person says so."""

from __future__ import annotations

import logging

from mlops.errors import UsageError, shown
from mlops.ledger.keys import CHOOSING, promotion
from mlops.ledger.store import Entry
from mlops.project.context import Project

__all__ = ["put_back", "taken_away"]

log = logging.getLogger("mlops")

_KIND = "model.rolled_back"


def put_back(project: Project, version: str | None = None, *, reason: str = "") -> Entry:
    """Make a version that was promoted before the champion; what serves is left to a deployment.

    Killed anywhere, the same again finishes it, and goes no further back.

    Parameters
    ----------
    version
        Its number; where None, the last one promoted before the champion, without those that a
        person took away.
    reason
        A person's words, kept in the ledger.

    Returns
    -------
    The ledger's ``model.promoted``. The window spent on the champion stays spent. Where that version
    is the champion, or, with None, where a person put the champion back already, nothing is recorded.

    Raises
    ------
    NothingPromotedError
        There is no champion.
    UsageError
        The version was never promoted, or there is none to go back to. Nothing was recorded.
    """
    while True:
        champion = project.promoted()
        if _is_done(project, champion, version):
            return champion
        earlier = _chosen(project, champion, version)
        project.bundle_of(earlier)  # before anything is recorded: it may be gone from here and from MLflow
        with project.lock(CHOOSING):
            if project.promoted().id == champion.id:
                return _record(project, earlier, champion, reason)


def taken_away(project: Project, digest: str) -> Entry | None:
    """Return the row by which a person took this model away, unless it was put back since."""
    about = [
        e for e in project.ledger.entries(_KIND) if digest in (e.body["digest"], e.body["replaced_digest"])
    ]
    return about[-1] if about and about[-1].body["replaced_digest"] == digest else None


def _record(project: Project, earlier: Entry, champion: Entry, reason: str) -> Entry:
    now, before = earlier.body["version"], champion.body["version"]
    words = f"Version {now} was put back by hand in place of version {before}"
    asked = project.ledger.record_once(
        f"rolled-back:{champion.id}:{earlier.id}",
        _KIND,
        cause=earlier,
        promote=True,  # told as a verdict tells it, for this stands where one would
        reason=f"{words}: {reason.rstrip('.')}." if reason else f"{words}.",
        version=now,
        digest=earlier.body["digest"],
        replaced=before,
        replaced_digest=champion.body["digest"],
    )
    log.info(asked.body["reason"])
    return project.ledger.record_once(
        promotion(asked),
        "model.promoted",
        cause=asked,
        as_of=champion.as_of,
        **{**earlier.body, "gate_end": champion.body["gate_end"]},
    )


def _is_done(project: Project, champion: Entry, version: str | None) -> bool:
    number, asked = champion.body["version"], _asked(project, champion)
    if version is None and asked is not None:
        log.info("%s To go further back, name a version.", asked.body["reason"])
        return True
    if version == number:
        log.info("version %s is the champion; nothing was recorded", number)
        return True
    return False


def _chosen(project: Project, champion: Entry, version: str | None) -> Entry:
    """Return the promotion by the gate that is to hold again."""
    by_gate = [entry for entry in project.ledger.entries("model.promoted") if _asked(project, entry) is None]
    if version is not None:
        found = [entry for entry in by_gate if entry.body["version"] == version]
        had = shown([entry.body["version"] for entry in reversed(by_gate)])
        refusal = f"Version {version} was never promoted: nothing proved it better. Promoted were: {had}."
        remedy = "Name one of these."
    else:
        found = [
            entry
            for entry in by_gate
            if entry.body["digest"] != champion.body["digest"]
            and taken_away(project, entry.body["digest"]) is None
        ]
        refusal = f"There is no version to go back to before version {champion.body['version']}."
        remedy = "One that was taken away serves again by its number: `mlops rollback VERSION`."
    if not found:
        raise UsageError(refusal, remedy=remedy)
    return found[-1]


def _asked(project: Project, promoted: Entry) -> Entry | None:
    """Return the row by which a person asked for a promotion; None where the gate decided it."""
    cause = project.ledger.get(promoted.cause or "")
    return cause if cause is not None and cause.kind == _KIND else None
