"""Whether a training would find anything new. Imports neither Prefect nor MLflow."""

from __future__ import annotations

from filelock import Timeout

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import BUNDLE, DVC_LOCK, LAKE
from mlops.files import hashing
from mlops.ledger.entry import Entry
from mlops.ledger.outcome import Outcome
from mlops.ledger.records import GateJudged, ModelMarked, ModelPromoted, ModelRegistered, ModelRolledBack
from mlops.project.context import Project

__all__ = ["settled", "verdict_on"]


def settled(project: Project) -> Outcome | None:
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
    root = project.folder.root
    try:
        with project.lock("tree", patience=0):
            data = DvcTree(root)
            if data.version() is None or not (root / DVC_LOCK).is_file():
                return None
            if data.status():
                return None
            registered = _registered(project)
            judged = verdict_on(project, registered) if registered else None
            if registered is None or judged is None or _half_done(project, judged):
                return None
            # Last, for it reads the whole lake, and where there is something to do the flow reads it.
            data.mend(LAKE, aside=project.folder.aside)
    except Timeout:
        return None
    model, verdict = registered.record, judged.record
    return Outcome(
        f"Nothing changed since version {model.version} (run {model.run_id}). {verdict.sentence}",
        refused=not verdict.promote,
    )


def verdict_on(
    project: Project, registered: Entry[ModelRegistered]
) -> Entry[GateJudged | ModelRolledBack] | None:
    """Return what decided on a registered version beside the champion of today, if anything did.

    The gate; of the champion itself it may be the person who put it back.
    """
    champion = project.promotion
    if champion is not None and champion.record.digest == registered.record.digest:
        by_hand = project.ledger.get(champion.cause, ModelRolledBack)
        return by_hand or project.ledger.get(champion.cause, GateJudged)
    against = champion.id if champion else None
    return project.ledger.find(GateJudged, cause=registered.id, promotion=against)


def _half_done(project: Project, judged: Entry[GateJudged | ModelRolledBack]) -> bool:
    """Whether a promotion is yet to be recorded, or MLflow to be told."""
    promoted = project.ledger.effects(judged, ModelPromoted)
    if judged.record.promote and not promoted:
        return True
    return any(
        project.ledger.find(ModelMarked, cause=id) is None for id in (judged.id, *(e.id for e in promoted))
    )


def _registered(project: Project) -> Entry[ModelRegistered] | None:
    """Return the registration of the bundle in the tree, of a run that the tree's dvc.lock stands for."""
    root = project.folder.root
    digest = hashing.of_file(root / BUNDLE / "manifest.json")
    lock, tree = (root / DVC_LOCK).read_text(), Tree(root)
    for entry in reversed(project.ledger.entries(ModelRegistered)):
        if entry.record.digest == digest and tree.read(DVC_LOCK, entry.record.commit) == lock:
            return entry
    return None
