"""Whether a training has anything to do. Imports neither Prefect nor MLflow."""

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

__all__ = ["unchanged_outcome", "verdict_on"]


def unchanged_outcome(project: Project) -> Outcome | None:
    """Return the outcome of the last training in the person's tree, if nothing changed since.

    Returns
    -------
    None if something changed, if an earlier training did not finish, or if one is running: then the
    flow decides.

    Raises
    ------
    DataError
        The lake on disk differs from its pointer, and cannot be restored.
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
            if registered is None or judged is None or _is_incomplete(project, judged):
                return None
            # Last, because it reads the whole lake; if there is something to do, the flow reads it.
            data.restore(LAKE, aside=project.folder.aside)
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
    """Return the decision on a registered version against the current champion, if there is one.

    It is the gate's; for the champion itself it may be a person's rollback.
    """
    champion = project.promotion
    if champion is not None and champion.record.digest == registered.record.digest:
        rollback = project.ledger.get(champion.cause, ModelRolledBack)
        return rollback or project.ledger.get(champion.cause, GateJudged)
    against = champion.id if champion else None
    return project.ledger.find(GateJudged, cause=registered.id, promotion=against)


def _is_incomplete(project: Project, judged: Entry[GateJudged | ModelRolledBack]) -> bool:
    """Tell whether a promotion is not recorded yet, or a decision not marked in MLflow."""
    promoted = project.ledger.effects(judged, ModelPromoted)
    if judged.record.promote and not promoted:
        return True
    return any(
        project.ledger.find(ModelMarked, cause=id) is None for id in (judged.id, *(e.id for e in promoted))
    )


def _registered(project: Project) -> Entry[ModelRegistered] | None:
    """Return the registration of the tree's bundle whose commit has the tree's dvc.lock."""
    root = project.folder.root
    digest = hashing.of_file(root / BUNDLE / "manifest.json")
    lock, tree = (root / DVC_LOCK).read_text("utf-8"), Tree(root)
    for entry in reversed(project.ledger.entries(ModelRegistered)):
        if entry.record.digest == digest and tree.read(DVC_LOCK, entry.record.commit) == lock:
            return entry
    return None
