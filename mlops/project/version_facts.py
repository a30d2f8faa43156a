"""What is known of each version of the model: from the ledger, and from its bundle where that is on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops.errors import UsageError, shown

if TYPE_CHECKING:
    from mlops.ledger.records import GateJudged
    from mlops.project.context import Project

__all__ = ["VersionFacts", "find_version", "version_facts"]


@dataclass(frozen=True)
class VersionFacts:
    """One version of the model; None where nothing is recorded, or nothing happened.

    Times are UTC. Those of rows are event times, half-open; the others are recorded times.

    Parameters
    ----------
    data_version, commit, digest, run_id
        What it was trained on, the commit that holds that training's dvc.lock, the name of its bundle's
        content, its run in MLflow.
    trained_rows, trained_from, trained_until
        The rows it was fitted on.
    holdout_rows, holdout_from, holdout_until
        The newest rows, which it was not.
    metric
        The loss that all losses here are means of: the gate's.
    holdout_loss, baseline_loss
        The mean loss on the holdout, and that of a constant prediction.
    gate
        The gate's last verdict: ``promoted`` or ``rejected``.
    challenger_loss, champion_loss, difference, low, high, gate_rows, gate_blocks
        The comparison with the champion of that day; `difference` and its interval are below 0 where
        this version is better.
    promoted_at
        When it last became the champion.
    served_from, served_to
        When it first served, and when another version last took its place; None while it serves.
    """

    version: str
    registered_at: datetime
    data_version: str
    commit: str
    digest: str
    run_id: str
    metric: str
    trained_rows: int | None = None
    trained_from: datetime | None = None
    trained_until: datetime | None = None
    holdout_rows: int | None = None
    holdout_from: datetime | None = None
    holdout_until: datetime | None = None
    holdout_loss: float | None = None
    baseline_loss: float | None = None
    gate: str | None = None
    gate_sentence: str | None = None
    challenger_loss: float | None = None
    champion_loss: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    gate_rows: int | None = None
    gate_blocks: int | None = None
    promoted_at: datetime | None = None
    served_from: datetime | None = None
    served_to: datetime | None = None


def version_facts(project: Project) -> list[VersionFacts]:
    """Return what is known of every version that was registered, oldest first. MLflow is not asked."""
    from mlops.ledger.records import DeploymentServed, GateJudged, ModelPromoted, ModelRegistered

    judged = {entry.record.version: entry.record for entry in project.recorded(GateJudged)}
    promoted = {entry.record.version: entry.recorded_at for entry in project.recorded(ModelPromoted)}
    served = _served([(e.record.version, e.recorded_at) for e in project.recorded(DeploymentServed)])
    known = {entry.record.version: entry for entry in project.recorded(ModelRegistered)}
    all_facts = []
    for version, entry in known.items():
        verdict = judged.get(version)
        metric = verdict.metric if verdict else project.params.gate.metric
        facts: dict[str, Any] = {
            **_training(project, entry.record.digest, metric),
            **(_gate(verdict) if verdict else {}),
            **served.get(version, {}),
        }
        all_facts.append(
            VersionFacts(
                version=version,
                registered_at=entry.recorded_at,
                data_version=entry.record.data_md5,
                commit=entry.record.commit,
                digest=entry.record.digest,
                run_id=entry.record.run_id,
                metric=metric,
                promoted_at=promoted.get(version),
                **facts,
            )
        )
    return all_facts


def find_version(project: Project, version: str | int) -> VersionFacts:
    """Return what is known of a version.

    Raises
    ------
    UsageError
        There is no such version.
    """
    known = version_facts(project)
    for facts in known:
        if facts.version == str(version):
            return facts
    have = shown([facts.version for facts in reversed(known)]) or "none"
    raise UsageError(
        f"Model {project.params.data.name} has no version {str(version)!r}. Its versions: {have}.",
        remedy="See `project.versions()`." if known else "Train one: `mlops train`.",
    )


def _training(project: Project, digest: str, metric: str) -> dict[str, Any]:
    from mlops.model import bundle
    from mlops.project.bundle_store import DAMAGE

    try:
        opened = bundle.open(project.folder.bundles / digest, verify=False, digest=digest)
        lineage, losses = opened.lineage, opened.reference
    except DAMAGE:
        return {}  # missing or damaged: who needs the model fetches it again
    facts: dict[str, Any] = {}
    for part, name in (("train", "trained"), ("holdout", "holdout")):
        window = lineage[part]
        facts |= {f"{name}_rows": window["rows"]}
        facts |= {f"{name}_from": _time(window["start"]), f"{name}_until": _time(window["end"])}
    return {
        **facts,
        "holdout_loss": losses["loss"].get(metric),
        "baseline_loss": losses["baseline"].get(metric),
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _gate(judged: GateJudged) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "gate": "promoted" if judged.promote else "rejected",
        "gate_sentence": judged.sentence,
    }
    compared = judged.comparison
    if compared is None:
        return facts
    return facts | {
        "challenger_loss": compared.loss,
        "champion_loss": compared.other_loss,
        "difference": compared.difference,
        "low": compared.low,
        "high": compared.high,
        "gate_rows": compared.rows,
        "gate_blocks": compared.blocks,
    }


def _served(deployed: Sequence[tuple[str, datetime]]) -> Mapping[str, dict[str, datetime | None]]:
    """Return from when to when each version served, of the deployments in the order they were made."""
    periods: dict[str, dict[str, datetime | None]] = {}
    serving: str | None = None
    for version, at in deployed:
        if version != serving and serving is not None:
            periods[serving]["served_to"] = at
        periods.setdefault(version, {"served_from": at})["served_to"] = None
        serving = version
    return periods
