"""Learning: DVC's stages, the run in MLflow, the gate, the promotion."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from prefect.runtime import flow_run

from mlops import answers, fingerprint, metric
from mlops.adapters.dvc import DvcTree
from mlops.adapters.git import Tree
from mlops.answers import Answers
from mlops.bundle import Bundle
from mlops.dataset import columns_of
from mlops.errors import ConflictError, DataError
from mlops.gate import Comparison, GateVerdict, block_interval, blocks_of, compare, decide
from mlops.ledger import Entry
from mlops.orchestration.intake import LAKE
from mlops.orchestration.loop import Loop
from mlops.orchestration.step import run_as_task, step
from mlops.predictor import load
from mlops.registry import CHALLENGER, CHAMPION, TrainingRun
from mlops.retrain import fresh
from mlops.stages import STAGES

log = logging.getLogger("mlops")

__all__ = ["judge", "promote", "register", "reproduce"]

_INPUTS = ["params.yaml", "dvc.yaml", "requirements.lock"]
_OUTPUTS = ["dvc.lock", "build/metrics.json", "build/.gitignore", "build/plots/.gitignore", "data/.gitignore"]


def reproduce(root: Path, tree: Path, *, force: bool = False) -> str:
    """Run the stages of dvc.yaml that have something new, one Prefect task each.

    Returns
    -------
    The commit that holds the dvc.lock of what `tree` now contains.
    """
    loop = Loop.at(root)
    with loop.lock("tree"):
        data = DvcTree(tree)
        if data.version() is None:
            raise DataError("The project has no data yet.", remedy="Add some: `mlops ingest FILE`.")
        data.verify(LAKE)
        done = data.reproduce(run_as_task, stages=STAGES, force=force)
        # With what it was trained with, or the commit could not train it again.
        wanted = [*_INPUTS, loop.params.model.builder, *_OUTPUTS]
        paths = [path for path in wanted if (tree / path).exists()]
        return Tree(tree).commit_paths(paths, f"Train on data {(done.data_md5 or '')[:12]}")


@step(name="log the run and register its model", retries=2)
def register(root: Path, tree: Path, commit: str, cause: str | None = None, *, force: bool = False) -> Entry:
    """Log what the stages made to MLflow and register it; what is known already is found.

    Returns
    -------
    The ledger's ``model.registered``: version, digest, run, commit, data version.
    """
    loop = Loop.at(root)
    _check_unmoved(tree, commit)
    bundle = loop.keep_bundle(tree / "build" / "bundle")
    _check_unmoved(tree, commit)
    run_id = loop.registry.log_run(_training_run(tree, bundle, commit), force=force)
    version = loop.registry.register(run_id, bundle.digest)
    return loop.ledger.record_once(
        f"registered:{version.name}:{version.version}:{run_id}",
        "model.registered",
        cause=cause,
        name=version.name,
        version=version.version,
        run_id=run_id,
        digest=bundle.digest,
        commit=version.commit,
        data_md5=version.data_md5,
    )


@step(name="compare challenger and champion on the same rows", retries=2)
def judge(root: Path, tree: Path, registered: Entry, as_of: datetime | None = None) -> Entry:
    """Let the gate decide on a registered version, once.

    Returns
    -------
    The ledger's ``gate.judged``: ``promote``, the sentence, the numbers, the window used.
    """
    loop = Loop.at(root)
    champion = loop.champion
    if champion is not None and champion.body["digest"] == registered.body["digest"]:
        log.info("nothing changed: version %s is the champion", champion.body["version"])
        return _cause(loop, champion)
    once = f"judged:{registered.id}:{champion.id if champion else 'first'}"
    judged = loop.ledger.named(once)
    if judged is None:
        rows = pd.read_parquet(tree / "data" / "holdout.parquet")
        _check_unmoved(tree, registered.body["commit"])
        rows = rows[rows[loop.schema.target].notna()]
        window = _window(rows, loop.schema.time)
        verdict = _verdict(loop, registered, rows, window)
        judged = loop.ledger.record_once(
            once,
            "gate.judged",
            cause=registered,
            as_of=as_of,
            version=registered.body["version"],
            window=window,
            promote=verdict.promote,
            reason=verdict.reason,
        )
    tags = {
        "gate": "promoted" if judged.body["promote"] else "refused",
        "gate.reason": judged.body["reason"],
    }
    loop.registry.mark(registered.body["version"], CHALLENGER, tags=tags)
    return judged


@step(name="promote", retries=2)
def promote(root: Path, judged: Entry) -> Entry:
    """Record the promotion the gate allowed and let the alias follow it."""
    loop = Loop.at(root)
    registered = _cause(loop, judged)
    window = judged.body["window"]
    promoted = loop.ledger.record_once(
        f"promoted:{judged.id}",
        "model.promoted",
        cause=judged,
        as_of=judged.as_of,
        **registered.body,
        gate_end=window[1] if window else None,
    )
    # Judged before and outdone since: the alias stays with the newest.
    champion = loop.promoted()
    loop.registry.mark(champion.body["version"], CHAMPION)
    return promoted


def _training_run(tree: Path, bundle: Bundle, commit: str) -> TrainingRun:
    metrics = json.loads((tree / "build" / "metrics.json").read_text())
    params = yaml.safe_load((tree / "params.yaml").read_text())
    plots = sorted((tree / "build" / "plots").glob("*"))
    return TrainingRun(
        lock_sha=fingerprint.of_file(tree / "dvc.lock"),
        commit=commit,
        data_md5=bundle.lineage["data"],
        data_path=LAKE,
        rows=bundle.lineage["train"]["rows"],
        bundle=bundle.folder,
        params={section: params[section] for section in ("model", "train")},
        metrics={
            f"{of}.{name}": value for of in ("holdout", "baseline") for name, value in metrics[of].items()
        },
        plots={plot.name: plot.read_bytes() for plot in plots},
        tags={"mlops.flow_run": flow_run.id or ""},
    )


def _verdict(loop: Loop, registered: Entry, rows: pd.DataFrame, window: list[str] | None) -> GateVerdict:
    policy, schema, champion = loop.params.gate, loop.schema, loop.champion
    spent = champion.body["gate_end"] if champion else None
    if champion and window and spent and not fresh(_time(window[0]), _time(spent)):
        return GateVerdict(
            False,
            f"Refused: rows from {window[0]} on are not fresh, the champion was chosen on rows up to "
            f"{spent}. Train again when newer rows have their labels.",
        )
    challenger = loop.bundle_of(registered)
    blocks = blocks_of(rows, schema, policy.block)
    given = load(challenger).predict(columns_of(rows, schema))
    ours = _losses(given, challenger, rows, loop)
    constant = answers.constant(challenger.model.prior, challenger.model.classes, len(rows))
    against_baseline = _compare(ours, _losses(constant, challenger, rows, loop), blocks, loop)
    covariances = metric.skill(rows[schema.target].to_numpy(), given, challenger.model.classes)
    skill = block_interval(covariances, blocks, **_options(loop))
    if champion is None:
        return decide(None, against_baseline, skill, policy)
    standing = loop.bundle_of(champion)
    theirs = _losses(load(standing).predict(columns_of(rows, schema)), standing, rows, loop)
    return decide(_compare(ours, theirs, blocks, loop), against_baseline, skill, policy)


def _options(loop: Loop) -> dict[str, Any]:
    policy = loop.params.gate
    return {
        "confidence": policy.confidence,
        "resamples": policy.resamples,
        "seed": loop.params.model.seed,
    }


def _check_unmoved(tree: Path, commit: str) -> None:
    """Make sure that what lies in the tree is what `commit` recorded: somebody may train beside us."""
    if (tree / "dvc.lock").read_text() != Tree(tree).read("dvc.lock", commit):
        raise ConflictError(
            f"{tree}: dvc.lock is no longer that of commit {commit[:12]}; another training ran meanwhile.",
            remedy="Run `mlops train` again.",
        )


def _cause(loop: Loop, entry: Entry) -> Entry:
    cause = loop.ledger.get(entry.cause or "")
    assert cause is not None  # the ledger's foreign key
    return cause


def _compare(
    ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], blocks: np.ndarray[Any, Any], loop: Loop
) -> Comparison:
    return compare(ours, theirs, blocks, **_options(loop))


def _losses(given: Answers, bundle: Bundle, rows: pd.DataFrame, loop: Loop) -> np.ndarray[Any, Any]:
    truth = rows[loop.schema.target].to_numpy()
    return metric.losses(loop.params.gate.metric, truth, given, bundle.model.classes)


def _window(rows: pd.DataFrame, time: str | None) -> list[str] | None:
    if time is None:
        return None
    # Half-open, as every window here: its end is the first moment after its last row.
    end = rows[time].max() + pd.Timedelta(1, "us")
    return [rows[time].min().isoformat(), end.isoformat()]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
