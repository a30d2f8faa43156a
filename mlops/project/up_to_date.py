"""Whether a training would find anything new. Imports neither Prefect nor MLflow."""

from __future__ import annotations

from filelock import Timeout

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import BUNDLE, DVC_LOCK, LAKE
from mlops.files import hashing
from mlops.ledger.keys import judgement, marking
from mlops.ledger.outcome import Outcome
from mlops.ledger.store import Entry
from mlops.project.context import Loop

__all__ = ["settled", "verdict_on"]


def settled(loop: Loop) -> Outcome | None:
    """Tell again how the training of what lies in the person's tree ended, where nothing changed since.

    Returns
    -------
    None where there is something to do, where an earlier training was left half done, or where
    one is at work: then the flow is the one to ask.

    Raises
    ------
    DataError
        The lake on disk is not what its pointer names, and cannot be put back.
    """
    root = loop.project.root
    try:
        with loop.lock("tree", patience=0):
            data = DvcTree(root)
            if data.version() is None or not (root / DVC_LOCK).is_file():
                return None
            if data.status():
                return None
            registered = _registered(loop)
            judged = verdict_on(loop, registered) if registered else None
            if registered is None or judged is None or _half_done(loop, judged):
                return None
            # Last, for it reads the whole lake, and where there is something to do the flow reads it.
            data.mend(LAKE, aside=loop.project.aside)
    except Timeout:
        return None
    body = registered.body
    return Outcome(
        f"Nothing changed since version {body['version']} (run {body['run_id']}). {judged.body['reason']}",
        refused=not judged.body["promote"],
    )


def verdict_on(loop: Loop, registered: Entry) -> Entry | None:
    """Return what the gate said of a registered version beside the champion of today, if it did."""
    champion = loop.champion
    if champion is not None and champion.body["digest"] == registered.body["digest"]:
        return loop.ledger.get(champion.cause or "")
    return loop.ledger.named(judgement(registered, champion))


def _half_done(loop: Loop, judged: Entry) -> bool:
    """Whether a promotion is yet to be recorded, or MLflow to be told."""
    promoted = [entry for entry in loop.ledger.effects(judged) if entry.kind == "model.promoted"]
    if judged.body["promote"] and not promoted:
        return True
    return any(loop.ledger.named(marking(decided)) is None for decided in (judged, *promoted))


def _registered(loop: Loop) -> Entry | None:
    """Return the registration of the bundle in the tree, of a run that the tree's dvc.lock stands for."""
    root = loop.project.root
    digest = hashing.of_file(root / BUNDLE / "manifest.json")
    lock, tree = (root / DVC_LOCK).read_text(), Tree(root)
    for entry in reversed(loop.ledger.entries("model.registered")):
        if entry.body["digest"] == digest and tree.read(DVC_LOCK, entry.body["commit"]) == lock:
            return entry
    return None
