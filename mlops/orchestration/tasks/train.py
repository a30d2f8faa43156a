"""Train: DVC's stages, the run in MLflow, the gate, the promotion."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.runtime import flow_run

from mlops.adapters.dvc.reproduction import Run
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config import consistency
from mlops.config.paths import (
    BUNDLE,
    DVC_LOCK,
    HOLDOUT,
    LAKE,
    METRICS,
    PARAMS,
    PLOTS,
    TRAIN,
    TRAINING_INPUTS,
    TRAINING_OUTPUTS,
    TRIALS,
)
from mlops.errors import ConflictError, DataError
from mlops.files import hashing, yaml
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import GateJudged
from mlops.ledger.records import ModelMarked, ModelPromoted, ModelRegistered, ModelRolledBack
from mlops.model import trials as trial
from mlops.model.bundle import Bundle
from mlops.model.card import ModelCard
from mlops.model.registry import CHALLENGER, CHAMPION, FLOW_RUN, RowsUsed, TrainingRun
from mlops.moments import from_text
from mlops.orchestration import artifacts
from mlops.orchestration.task import run_as_task, step
from mlops.orchestration.tasks.push import push
from mlops.project import rollback
from mlops.project.context import Project
from mlops.project.up_to_date import verdict_on
from mlops.project.verdict import check_fresh, verdict
from mlops.stages.io import holdout_rate
from mlops.stages.pipeline import STAGES
from mlops.stages.tuning import search

log = logging.getLogger("mlops")

__all__ = ["judge", "promote", "register", "reproduce"]

# With these names MLflow lists the model's metrics first, and the baseline's next to them.
_SECTIONS = {"holdout": "holdout", "baseline": "holdout_baseline", "rows": "rows"}


def reproduce(root: Path, tree: Path, *, force: bool = False, must_be_fresh: bool = True) -> str:
    """Run the changed stages of dvc.yaml, one Prefect task each.

    Parameters
    ----------
    must_be_fresh
        Refuse before anything is fitted where too few rows are new to the champion for the gate to decide.

    Returns
    -------
    The commit that holds the dvc.lock of what `tree` now contains.

    Raises
    ------
    ConfigError
        The windows of params.yaml contradict one another.
    NotFreshError
        Too few rows are new to the champion.
    MlopsError
        `tree` cannot be committed to, which is raised before an hour's training; or a stage failed.
    """
    project = Project.at(root, tree)
    consistency.check(project.params, holdout_rate(tree))
    Tree(tree).branch()
    with project.lock("tree"):
        data = DvcTree(tree)
        if data.version() is None:
            raise DataError("The project has no data yet.", remedy="Add some: `mlops ingest FILE`.")
        data.restore(LAKE, aside=project.folder.aside)
        # The trials of a search outlive a scratch tree, which is removed after a killed training.
        stages = STAGES | {"search": partial(search, journals=project.folder.searches)}
        run = partial(_run_if_fresh, project, run_as_task) if must_be_fresh else run_as_task
        done = data.reproduce(run, stages=stages, force=force)
        # With its inputs, or the model could not be reproduced from the commit.
        wanted = [*TRAINING_INPUTS, project.params.model.builder, *TRAINING_OUTPUTS]
        paths = [path for path in wanted if (tree / path).exists()]
        commit = Tree(tree).commit_paths(paths, f"Train on data {(done.data_md5 or '')[:12]}")
    push(root, tree)
    return commit


def _run_if_fresh(project: Project, run: Run, name: str, body: Callable[[], None]) -> None:
    """Run a stage; one that fits only if the gate could decide about what it makes."""
    if name not in ("prepare", "split"):
        check_fresh(project, project.tree or project.folder.root)
    run(name, body)


@step(name="log the run and register its model", retries=2)
def register(
    root: Path, tree: Path, commit: str, cause: str | None = None, *, force: bool = False
) -> Entry[ModelRegistered]:
    """Log the stages' outputs to MLflow and register the model; an existing run or version is reused.

    Returns
    -------
    The ledger's ``model.registered``: version, digest, run, commit, data version.
    """
    project = Project.at(root, tree)
    _check_unmoved(tree, commit)
    bundle = project.keep_bundle(tree / BUNDLE)
    _check_unmoved(tree, commit)
    run = _training_run(project, tree, bundle, commit)
    run_id = project.registry.log_run(run, force=force)
    version = project.registry.register(run_id, bundle.digest, description=run.description)
    registered = ModelRegistered(
        name=version.name,
        version=version.version,
        run_id=run_id,
        digest=bundle.digest,
        commit=version.commit,
        data_md5=version.data_md5,
    )
    return project.ledger.record(registered, cause=cause)


@step(name="compare challenger and champion on the same rows", retries=2)
def judge(
    root: Path, tree: Path, registered: Entry[ModelRegistered], as_of: datetime | None = None
) -> Entry[GateJudged | ModelRolledBack]:
    """Apply the gate to a registered version, once, with the params.yaml that it was trained with.

    Returns
    -------
    The ledger's ``gate.judged``, with all figures; for a champion that a person rolled back to, its
    ``model.rolled_back``.
    """
    project = Project.at(root, tree)
    champion, judged = project.promotion, verdict_on(project, registered)
    if champion is not None and judged is not None and judged.id == champion.cause:
        log.info("nothing changed: version %s is the champion", champion.record.version)
        if project.ledger.find(ModelMarked, cause=judged.id) is None:  # MLflow was down, or a kill
            _mark(project, judged, champion.record.version)
        return _publish(project, tree, registered, judged)
    if judged is None:
        made = verdict(project, tree, registered)
        _check_unmoved(tree, registered.record.commit)
        judged = project.ledger.record(made, cause=registered, as_of=as_of)
    _mark(project, judged, registered.record.version, CHALLENGER)
    return _publish(project, tree, registered, judged)


@step(name="promote", retries=2)
def promote(root: Path, judged: Entry[GateJudged | ModelRolledBack]) -> Entry[ModelPromoted]:
    """Record the promotion that the gate decided, and move the alias.

    Returns
    -------
    The newest promotion, the one to deploy: this one, or a later one if this one was recorded before
    and superseded.

    Raises
    ------
    ConflictError
        A person replaced the champion that it was compared with.
    """
    project = Project.at(root)
    with project.lock(rollback.SELECTION_LOCK):
        promoted = project.ledger.find(ModelPromoted, cause=judged.id) or _promoted(project, judged)
    champion = project.promoted()
    project.registry.mark(champion.record.version, CHAMPION)
    project.ledger.record(ModelMarked(alias=CHAMPION), cause=promoted)
    return champion


def _promoted(project: Project, judged: Entry[GateJudged | ModelRolledBack]) -> Entry[ModelPromoted]:
    verdict, champion = judged.record, project.promotion
    registered = project.ledger.get(judged.cause, ModelRegistered)
    assert isinstance(verdict, GateJudged)  # a rollback records its promotion itself
    assert registered is not None  # the ledger's foreign key
    if verdict.promotion != (champion.id if champion else None):
        raise ConflictError(
            f"Version {verdict.version} was compared with a model that is no longer the champion.",
            remedy="Run the same command again: it compares with the current champion.",
        )
    until = project.bundle_of(registered).lineage["fitted_until"]
    promoted = ModelPromoted.of(registered.record, fitted_until=from_text(until) if until else None)
    return project.ledger.record(promoted, cause=judged, as_of=judged.as_of)


def _mark(
    project: Project, judged: Entry[GateJudged | ModelRolledBack], version: str, alias: str | None = None
) -> None:
    """Tag a version in MLflow with the verdict, and record that in the ledger."""
    project.registry.mark(version, alias, tags=_tags(judged.record))
    project.ledger.record(ModelMarked(alias=alias), cause=judged)


def _tags(verdict: GateJudged | ModelRolledBack) -> dict[str, str]:
    tags = {
        "mlops.gate": "promoted" if verdict.promote else "rejected",
        "mlops.gate.reason": verdict.sentence,
    }
    comparison = verdict.comparison if isinstance(verdict, GateJudged) else None
    if comparison is not None:
        figures = {name: getattr(comparison, name) for name in ("difference", "low", "high")}
        tags |= {f"mlops.gate.{name}": f"{figure:.6g}" for name, figure in figures.items()}
    return tags


def _training_run(project: Project, tree: Path, bundle: Bundle, commit: str) -> TrainingRun:
    metrics = json.loads((tree / METRICS).read_text("utf-8"))
    params = yaml.read(tree / PARAMS)
    plots = {path.name: path.read_bytes() for path in sorted((tree / PLOTS).glob("*.csv"))}
    plots = {name: table for name, table in plots.items() if table.count(b"\n") > 1}
    trials = tree / TRIALS
    searched = bundle.lineage.get("search")
    flow = flow_run.flow_name or "train"
    card = ModelCard(bundle, metrics, _importances(plots), project.params.gate, commit)
    return TrainingRun(
        lock_sha=hashing.of_file(tree / DVC_LOCK),
        commit=commit,
        data_md5=bundle.lineage["data"],
        data_path=LAKE,
        bundle=bundle.folder,
        name=f"{flow} {card.title}",
        description=card.short() + (f"\n\n[Flow run in Prefect]({flow_run.ui_url})" if flow_run.id else ""),
        source=f"flows/{flow}.py",
        branch=Tree(tree).branch(),
        rows=_rows_used(tree, bundle, card.name),
        params=_params(params, searched),
        metrics={
            f"{section}/{name}": value
            for of, section in _SECTIONS.items()
            for name, value in metrics[of].items()
        }
        | ({f"search/{searched['metric']}": searched["loss"]} if searched else {}),
        plots=plots,
        card=card.text(),
        trials=trial.from_csv(trials.read_bytes()) if searched and trials.is_file() else (),
        loss=searched["metric"] if searched else "",
        tags={FLOW_RUN: flow_run.id} if flow_run.id else {},
    )


def _params(params: Mapping[str, Any], searched: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parameters to log to a run; after a search, the ones that it chose."""
    logged = {section: params[section] for section in ("model", "train") if section in params}
    return {**logged, "model": {**logged["model"], "params": searched["params"]}} if searched else logged


def _importances(plots: Mapping[str, bytes]) -> list[tuple[str, float]]:
    table = pd.read_csv(BytesIO(plots["importances.csv"]))
    return list(zip(table["feature"].astype(str), table["importance"].astype(float), strict=True))


def _rows_used(tree: Path, bundle: Bundle, name: str) -> list[RowsUsed]:
    """Identify the rows as dvc.lock does: by the md5 of their files."""
    stages = yaml.read(tree / DVC_LOCK)["stages"].values()
    md5s = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    return [
        RowsUsed(f"{name}-{part}", context, md5s[path], path, bundle.lineage[part]["rows"])
        for part, context, path in (("train", "training", TRAIN), ("holdout", "evaluation", HOLDOUT))
    ]


def _publish(
    project: Project,
    tree: Path,
    registered: Entry[ModelRegistered],
    judged: Entry[GateJudged | ModelRolledBack],
) -> Entry[GateJudged | ModelRolledBack]:
    """Publish the trained model and the verdict as an artifact in Prefect."""

    def page() -> str:
        figures = json.loads((tree / METRICS).read_text("utf-8"))
        run = project.registry.run_url(registered.record.run_id)
        return artifacts.training(registered.record, judged.record, figures, run=run)

    artifacts.publish(f"{project.params.data.name}-training", page, description=judged.record.sentence)
    return judged


def _check_unmoved(tree: Path, commit: str) -> None:
    """Check that the tree still has the dvc.lock of `commit`: another process may train in it."""
    if (tree / DVC_LOCK).read_text("utf-8") != Tree(tree).read(DVC_LOCK, commit):
        raise ConflictError(
            f"{tree}: dvc.lock differs from commit {commit[:12]}; another training ran meanwhile.",
            remedy="Run `mlops train` again.",
        )
