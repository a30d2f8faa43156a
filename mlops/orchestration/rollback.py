"""Going back: a version that was promoted before is the champion again, because a person says so."""

from __future__ import annotations

import logging

from mlops.errors import NothingPromotedError, UsageError, shown
from mlops.ledger import Entry
from mlops.orchestration.loop import Loop
from mlops.orchestration.once import promotion

__all__ = ["put_back", "taken_away"]

log = logging.getLogger("mlops")

_KIND = "model.rolled_back"


def put_back(loop: Loop, version: str | None = None, *, reason: str = "") -> Entry:
    """Make a version that was promoted before the champion; what serves is left to a deployment.

    Killed anywhere, the same again finishes it; done again before it is deployed, it changes nothing.

    Parameters
    ----------
    version
        Its number; where None, the last one promoted before the champion, without those that a
        person took away.
    reason
        A person's words, kept in the ledger.

    Returns
    -------
    The ledger's ``model.promoted``. The window spent on the champion stays spent.

    Raises
    ------
    NothingPromotedError
        There is no champion.
    UsageError
        The version was never promoted, or there is none to go back to. Nothing was recorded.
    """
    champion = loop.promoted()
    if _is_champion(loop, champion, version):
        return champion
    earlier = _chosen(loop, champion, version)
    loop.bundle_of(earlier)  # before anything is recorded: it may be gone from here and from MLflow
    now, before = earlier.body["version"], champion.body["version"]
    words = f"Version {now} was put back by hand in place of version {before}"
    asked = loop.ledger.record_once(
        f"rolled-back:{champion.id}:{earlier.id}",
        _KIND,
        cause=earlier,
        promote=True,  # told as a verdict tells it, for this stands where one would
        reason=f"{words}: {reason.rstrip('.')}." if reason else f"{words}.",
        version=now,
        replaced=before,
        replaced_digest=champion.body["digest"],
    )
    log.info(asked.body["reason"])
    return loop.ledger.record_once(
        promotion(asked),
        "model.promoted",
        cause=asked,
        **{**earlier.body, "gate_end": champion.body["gate_end"]},
    )


def taken_away(loop: Loop, digest: str) -> Entry | None:
    """Return the newest row by which a person put another model in the place of this one, if one did."""
    found = [entry for entry in loop.ledger.entries(_KIND) if entry.body["replaced_digest"] == digest]
    return found[-1] if found else None


def _is_champion(loop: Loop, champion: Entry, version: str | None) -> bool:
    if version is not None:
        return bool(champion.body["version"] == version)
    try:
        return _asked(loop, champion) is not None and loop.served().id != champion.id
    except NothingPromotedError:
        return False


def _chosen(loop: Loop, champion: Entry, version: str | None) -> Entry:
    """Return the promotion by the gate that is to hold again."""
    by_gate = [entry for entry in loop.ledger.entries("model.promoted") if _asked(loop, entry) is None]
    if version is not None:
        found = [entry for entry in by_gate if entry.body["version"] == version]
        had = shown([entry.body["version"] for entry in reversed(by_gate)])
        refusal = (
            f"Version {version} was never promoted, so that nothing proved it better. Promoted were: {had}."
        )
        remedy = "Name one of these."
    else:
        standing = champion
        while (asked := _asked(loop, standing)) is not None:
            standing = _cause(loop, asked)
        before = by_gate[: [entry.id for entry in by_gate].index(standing.id)]
        shunned = {champion.body["digest"]} | {
            entry.body["digest"] for entry in before if taken_away(loop, entry.body["digest"])
        }
        found = [entry for entry in before if entry.body["digest"] not in shunned]
        refusal = f"There is no version to go back to before version {champion.body['version']}."
        remedy = "One that was taken away serves again by its number: `mlops rollback VERSION`."
    if not found:
        raise UsageError(refusal, remedy=remedy)
    return found[-1]


def _asked(loop: Loop, promoted: Entry) -> Entry | None:
    """Return the row by which a person asked for a promotion; None where the gate decided it."""
    cause = _cause(loop, promoted)
    return cause if cause.kind == _KIND else None


def _cause(loop: Loop, entry: Entry) -> Entry:
    cause = loop.ledger.get(entry.cause or "")
    assert cause is not None  # a promotion and what a person asked for have one
    return cause
