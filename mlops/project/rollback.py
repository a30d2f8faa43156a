"""Going back: a version that was promoted before is the champion again, because a person says so."""

from __future__ import annotations

import logging
from dataclasses import replace

from mlops.errors import UsageError, shown
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ModelRolledBack
from mlops.project.context import Project

__all__ = ["SELECTION_LOCK", "put_back", "taken_away"]

log = logging.getLogger("mlops")

SELECTION_LOCK = "champion"
"""The lock of whoever looks at the champion and puts another in its place."""


def put_back(project: Project, version: str | None = None, *, reason: str = "") -> Entry[ModelPromoted]:
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
        with project.lock(SELECTION_LOCK):
            if project.promoted().id == champion.id:
                return _record(project, earlier, champion, reason)


def taken_away(project: Project, digest: str) -> Entry[ModelRolledBack] | None:
    """Return the row by which a person took this model away, unless it was put back since."""
    about = [
        entry
        for entry in project.ledger.entries(ModelRolledBack)
        if digest in (entry.record.digest, entry.record.replaced_digest)
    ]
    return about[-1] if about and about[-1].record.replaced_digest == digest else None


def _record(
    project: Project, earlier: Entry[ModelPromoted], champion: Entry[ModelPromoted], reason: str
) -> Entry[ModelPromoted]:
    asked = project.ledger.record(
        ModelRolledBack(
            version=earlier.record.version,
            digest=earlier.record.digest,
            replaced=champion.record.version,
            replaced_digest=champion.record.digest,
            replaced_promotion=champion.id,
            reason=reason,
        ),
        cause=earlier,
    )
    log.info(asked.record.sentence)
    again = replace(earlier.record, gate_end=champion.record.gate_end)
    return project.ledger.record(again, cause=asked, as_of=champion.as_of)


def _is_done(project: Project, champion: Entry[ModelPromoted], version: str | None) -> bool:
    number, asked = champion.record.version, _asked(project, champion)
    if version is None and asked is not None:
        log.info("%s To go further back, name a version.", asked.record.sentence)
        return True
    if version == number:
        log.info("version %s is the champion; nothing was recorded", number)
        return True
    return False


def _chosen(project: Project, champion: Entry[ModelPromoted], version: str | None) -> Entry[ModelPromoted]:
    """Return the promotion by the gate that is to hold again."""
    by_gate = [entry for entry in project.ledger.entries(ModelPromoted) if _asked(project, entry) is None]
    if version is not None:
        found = [entry for entry in by_gate if entry.record.version == version]
        had = shown([entry.record.version for entry in reversed(by_gate)])
        refusal = f"Version {version} was never promoted: nothing proved it better. Promoted were: {had}."
        remedy = "Name one of these."
    else:
        found = [
            entry
            for entry in by_gate
            if entry.record.digest != champion.record.digest
            and taken_away(project, entry.record.digest) is None
        ]
        refusal = f"There is no version to go back to before version {champion.record.version}."
        remedy = "One that was taken away serves again by its number: `mlops rollback VERSION`."
    if not found:
        raise UsageError(refusal, remedy=remedy)
    return found[-1]


def _asked(project: Project, promoted: Entry[ModelPromoted]) -> Entry[ModelRolledBack] | None:
    """Return the row by which a person asked for a promotion; None where the gate decided it."""
    return project.ledger.get(promoted.cause, ModelRolledBack)
