"""Watching: the drift and the quality of what was served, judged once a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from prefect.events import emit_event

from mlops import drift, labels, metric, prediction_log
from mlops.answers import Answers
from mlops.bundle import Bundle
from mlops.drift import DriftReport, QualityVerdict
from mlops.errors import EmptyWindowError
from mlops.gate import blocks_of
from mlops.ledger import Entry
from mlops.orchestration import retraining
from mlops.orchestration.loop import Loop
from mlops.orchestration.step import step

__all__ = ["DRIFT_EVENT", "announce", "check", "model_resource", "write_report"]

DRIFT_EVENT = "mlops.drift.confirmed"


def model_resource(name: str) -> str:
    """Return the Prefect resource that a project's events are about."""
    return f"mlops.model.{name}"


@step(name="compare the window with the champion's reference")
def check(root: Path, as_of: datetime | None = None) -> Entry:
    """Judge the rows that what serves has answered in the window up to `as_of`, in the ledger.

    Parameters
    ----------
    as_of
        The end of the window, event time; the newest served row's where none is given.

    Returns
    -------
    The ledger's ``drift.checked``: the report, whether drift is confirmed, a sentence. The
    same window of the same champion is judged once: asked again, the first entry comes back.

    Raises
    ------
    EmptyWindowError
        Nothing was served in the window.
    """
    loop = Loop.at(root)
    as_of = as_of or loop.present()
    subject = loop.served()
    once = f"drift:{subject.id}:{as_of.isoformat()}"
    known = loop.ledger.named(once)
    if known is not None:
        return known
    prediction_log.compact(loop.project.predictions, loop.schema)
    report = _report(loop, subject, _served(loop, subject, as_of), as_of)
    policy = loop.params.monitor
    confirmed = report.raised and drift.confirmed(
        [*_history(loop, subject, as_of), True], confirm=policy.confirm, of=policy.of
    )
    return loop.ledger.record_once(
        once,
        "drift.checked",
        cause=subject,
        as_of=as_of,
        version=subject.body["version"],
        raised=report.raised,
        confirmed=confirmed,
        sentence=report.sentence(confirmed=confirmed),
        report=report.to_dict(),
    )


def _history(loop: Loop, subject: Entry, as_of: datetime) -> list[bool]:
    """Return whether earlier windows were raised, oldest first; windows that overlap much are one."""
    checks = [entry for entry in loop.ledger.effects(subject) if entry.kind == "drift.checked"]
    apart, end = [], as_of - loop.params.monitor.window / 2
    for check in sorted(checks, key=lambda entry: entry.as_of or as_of, reverse=True):
        if check.as_of is not None and check.as_of <= end:
            apart.append(bool(check.body["raised"]))
            end = check.as_of - loop.params.monitor.window / 2
    return apart[::-1]


@step(name="announce confirmed drift")
def announce(root: Path, checked: Entry) -> Entry:
    """Record confirmed drift, then emit the event that the automation waits for.

    The row is the truth. An event that is lost costs time, not the retraining: the
    reconciler finds the row.
    """
    loop = Loop.at(root)
    confirmed = retraining.confirm(loop, checked)
    assert checked.as_of is not None
    emit_event(
        event=DRIFT_EVENT,
        resource={
            "prefect.resource.id": model_resource(loop.params.data.name),
            "prefect.resource.name": loop.params.data.name,
        },
        payload={"cause": confirmed.id, "as_of": checked.as_of.isoformat()},
    )
    return confirmed


@step(name="write the drift report", timeout=300)
def write_report(root: Path, checked: Entry) -> Path:
    """Draw Evidently's full report of a judged window; kept as HTML and beside the run in MLflow."""
    from mlops.adapters.evidently import write_report as draw

    loop = Loop.at(root)
    known = loop.ledger.named(f"reported:{checked.id}")
    if known is not None and Path(known.body["path"]).is_file():
        return Path(known.body["path"])
    subject = loop.ledger.get(checked.cause or "")
    assert subject is not None
    assert checked.as_of is not None
    limits = {
        column["column"]: column["threshold"]
        for column in checked.body["report"]["columns"]
        if column["threshold"] is not None
    }
    path = loop.project.home / "reports" / f"drift-{checked.as_of:%Y-%m-%d}-{checked.id[:6]}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    current = drift.as_reference(_served(loop, subject, checked.as_of), loop.schema)
    draw(_reference(loop.bundle_of(subject)), current, drift.watched(loop.schema), path, thresholds=limits)
    loop.registry.attach(subject.body["run_id"], path)
    loop.ledger.record_once(
        f"reported:{checked.id}", "drift.reported", cause=checked, as_of=checked.as_of, path=str(path)
    )
    return path


def _served(loop: Loop, subject: Entry, as_of: datetime) -> pd.DataFrame:
    """Return the window's rows that this version answered: another's answers say nothing of it."""
    start = as_of - loop.params.monitor.window
    served = prediction_log.read(loop.project.predictions, loop.schema, start=start, end=as_of)
    served = served[served["version"] == str(subject.body["version"])]
    if served.empty:
        raise EmptyWindowError(
            f"Version {subject.body['version']} served no row between {start:%Y-%m-%d %H:%M} and "
            f"{as_of:%Y-%m-%d %H:%M} UTC.",
            remedy="Name the end of a window that has some with --as-of.",
        )
    return served


def _report(loop: Loop, subject: Entry, served: pd.DataFrame, as_of: datetime) -> DriftReport:
    from mlops.adapters.evidently import statistics

    bundle = loop.bundle_of(subject)
    policy = loop.params.monitor
    report = drift.measure(
        _reference(bundle),
        drift.as_reference(served, loop.schema),
        loop.schema,
        window=(as_of - policy.window, as_of),
        policy=policy,
        block=loop.params.gate.block,
        statistics=statistics,
        seed=loop.params.model.seed,
    )
    return replace(report, quality=_quality(loop, bundle, served, as_of))


def _quality(loop: Loop, bundle: Bundle, served: pd.DataFrame, as_of: datetime) -> QualityVerdict:
    """Judge what was answered by the labels of the rows that are old enough to have one."""
    schema, policy, gate = loop.schema, loop.params.monitor, loop.params.gate
    joined = labels.join(served, labels.read(loop.project.labels), schema)
    mature = joined[joined["time"] < pd.Timestamp(as_of) - policy.label_maturity]
    told = mature[mature[schema.target].notna()]
    answers = Answers(
        told["prediction"].tolist(), None if schema.task == "regression" else told["score"].tolist()
    )
    truth = told[schema.target].to_numpy()
    losses = metric.losses(gate.metric, truth, answers, bundle.model.classes) if len(told) else np.empty(0)
    return drift.quality(
        losses,
        blocks_of(told.rename(columns={"time": schema.time, "key": schema.key}), schema, gate.block),
        reference_loss=bundle.reference["loss"][gate.metric],
        coverage=len(told) / len(mature) if len(mature) else 0.0,
        policy=policy,
    )


def _reference(bundle: Bundle) -> pd.DataFrame:
    return pd.read_parquet(bundle.folder / "reference.parquet")
