"""Roll back: a person makes an earlier promoted version the champion again."""

from __future__ import annotations

import logging
from dataclasses import replace

from mlops.errors import UsageError, shown
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ModelRolledBack
from mlops.project.context import Project

__all__ = ["SELECTION_LOCK", "check_version", "find_rollback", "roll_back"]

log = logging.getLogger("mlops")

SELECTION_LOCK = "champion"
"""The lock for reading the champion and replacing it."""


def roll_back(project: Project, version: str | None = None, *, reason: str = "") -> Entry[ModelPromoted]:
    """Make an earlier promoted version the champion; a deployment has to follow.

    After a kill, the same call finishes it, and goes no further back.

    Parameters
    ----------
    version
        Its number; default: the last one promoted before the champion that was not itself rolled back.
    reason
        A person's reason, kept in the ledger.

    Returns
    -------
    The ledger's ``model.promoted``. The window spent on the champion stays spent. If that version is
    the champion, or, without `version`, if the champion is the result of a rollback, nothing is recorded.

    Raises
    ------
    NothingPromotedError
        There is no champion.
    UsageError
        The version was never promoted, or there is none to go back to. Nothing was recorded.
    """
    while True:
        champion = project.promoted()
        if why := _why_done(project, champion, version):
            log.info(why)
            return champion
        earlier = _choose_promotion(project, champion, version)
        project.bundle_of(earlier)  # before anything is recorded: it may be gone from here and from MLflow
        with project.lock(SELECTION_LOCK):
            if project.promoted().id == champion.id:
                return _record(project, earlier, champion, reason)


def check_version(project: Project, version: str | None) -> None:
    """Refuse a version that `roll_back` would refuse; nothing is started or recorded.

    Raises
    ------
    NothingPromotedError, UsageError
        As `roll_back`.
    """
    champion = project.promoted()
    if not _why_done(project, champion, version):
        _choose_promotion(project, champion, version)


def find_rollback(project: Project, digest: str) -> Entry[ModelRolledBack] | None:
    """Return the rollback that replaced this model, unless it was promoted again since."""
    about = [
        entry
        for entry in project.ledger.entries(ModelRolledBack)
        if digest in (entry.record.digest, entry.record.replaced_digest)
    ]
    return about[-1] if about and about[-1].record.replaced_digest == digest else None


def _record(
    project: Project, earlier: Entry[ModelPromoted], champion: Entry[ModelPromoted], reason: str
) -> Entry[ModelPromoted]:
    rollback = project.ledger.record(
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
    log.info(rollback.record.sentence)
    # The rows that promoted the replaced version stay spent.
    until = [end for end in (earlier.record.fitted_until, champion.record.fitted_until) if end is not None]
    again = replace(earlier.record, fitted_until=max(until, default=None))
    return project.ledger.record(again, cause=rollback, as_of=champion.as_of)


def _why_done(project: Project, champion: Entry[ModelPromoted], version: str | None) -> str:
    """Return why there is nothing to do; empty where there is."""
    if version is None:
        rollback = _rollback_behind(project, champion)
        return f"{rollback.record.sentence} To go back further, name a version." if rollback else ""
    is_champion = version == champion.record.version
    return f"version {version} is the champion; nothing was recorded" if is_champion else ""


def _choose_promotion(
    project: Project, champion: Entry[ModelPromoted], version: str | None
) -> Entry[ModelPromoted]:
    """Return the gate's promotion to restore."""
    by_gate = [
        entry for entry in project.ledger.entries(ModelPromoted) if _rollback_behind(project, entry) is None
    ]
    if version is not None:
        candidates = [entry for entry in by_gate if entry.record.version == version]
        promoted = shown([entry.record.version for entry in reversed(by_gate)])
        refusal = f"Version {version} was never promoted. Promoted versions: {promoted}."
        remedy = "Choose one of these."
    else:
        candidates = [
            entry
            for entry in by_gate
            if entry.record.digest != champion.record.digest
            and find_rollback(project, entry.record.digest) is None
        ]
        refusal = f"There is no version to go back to before version {champion.record.version}."
        remedy = "To return to a version that was rolled back, name it: `mlops rollback VERSION`."
    if not candidates:
        raise UsageError(refusal, remedy=remedy)
    return candidates[-1]


def _rollback_behind(project: Project, promoted: Entry[ModelPromoted]) -> Entry[ModelRolledBack] | None:
    """Return the rollback that caused a promotion; None if the gate decided it."""
    return project.ledger.get(promoted.cause, ModelRolledBack)
