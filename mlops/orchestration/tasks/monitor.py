"""Watching: the drift and the quality of what was served, judged once a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from prefect.events import emit_event

from mlops.config.params import Params
from mlops.errors import EmptyWindowError
from mlops.evaluation import metrics as metric
from mlops.ledger.drift_report import DriftReport, QualityVerdict
from mlops.ledger.entry import Entry
from mlops.ledger.records import DriftChecked, DriftConfirmed, DriftReported, ModelPromoted
from mlops.model.bundle import Bundle
from mlops.monitoring import drift
from mlops.orchestration import artifacts
from mlops.orchestration.task import step
from mlops.orchestration.tasks import retrain
from mlops.prediction_log import label_log, reader
from mlops.project.context import Project
from mlops.schema import Schema
from mlops.stats.bootstrap import blocks_of
from mlops.task_types.predictions import Predictions

__all__ = ["DRIFT_EVENT", "announce", "check", "model_resource", "quality", "summary", "write_report"]

DRIFT_EVENT = "mlops.drift.confirmed"


def model_resource(name: str) -> str:
    """Return the Prefect resource that a project's events are about."""
    return f"mlops.model.{name}"


@step(name="compare the window with the champion's reference")
def check(root: Path, as_of: datetime | None = None) -> Entry[DriftChecked]:
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
    project = Project.at(root)
    as_of = project.moment(as_of)
    subject = project.served()
    known = project.ledger.find(DriftChecked, cause=subject.id, as_of=as_of)
    if known is not None:
        return _told(project, known)
    reader.compact(project.folder.predictions, project.schema)
    report = _report(project, subject, _served(project, subject, as_of), as_of)
    policy = project.params.monitor
    before = [checked.record.report for checked in project.ledger.effects(subject, DriftChecked)]
    history = drift.raised_before(before, as_of=as_of, apart=policy.window / 2)
    confirmed = report.raised and drift.confirmed([*history, True], confirm=policy.confirm, of=policy.of)
    verdict = DriftChecked(
        version=subject.record.version, raised=report.raised, confirmed=confirmed, report=report
    )
    return _told(project, project.ledger.record(verdict, cause=subject, as_of=as_of))


def _told(project: Project, checked: Entry[DriftChecked]) -> Entry[DriftChecked]:
    """Show in Prefect what the window's columns showed."""
    artifacts.publish(
        f"{project.params.data.name}-drift",
        lambda: artifacts.columns(checked.record),
        description=checked.record.sentence,
    )
    return checked


def summary(checked: Entry[DriftChecked]) -> str:
    """Say what a judged window showed, and in a line each what is wrong with its invalid columns."""
    return "\n".join([checked.record.sentence, *checked.record.report.broken])


@step(name="announce confirmed drift")
def announce(root: Path, checked: Entry[DriftChecked]) -> Entry[DriftConfirmed]:
    """Record confirmed drift, then emit the event that the automation waits for.

    The row is the truth. An event that is lost costs time, not the retraining: the
    reconciler finds the row.
    """
    project = Project.at(root)
    confirmed = retrain.confirm(project, checked)
    emit_event(
        event=DRIFT_EVENT,
        resource={
            "prefect.resource.id": model_resource(project.params.data.name),
            "prefect.resource.name": project.params.data.name,
        },
        payload=retrain.asked_by(confirmed),
    )
    return confirmed


@step(name="write the drift report", retries=2, timeout=300)
def write_report(root: Path, checked: Entry[DriftChecked]) -> Path:
    """Draw Evidently's full report of a judged window; kept as HTML and beside the run in MLflow."""
    from mlops.adapters.evidently import write_report as draw

    project = Project.at(root)
    subject = project.ledger.get(checked.cause, ModelPromoted)
    assert subject is not None
    assert checked.as_of is not None
    path = project.folder.home / "reports" / f"drift-{checked.as_of:%Y-%m-%d}-{checked.id[:6]}.html"
    if project.ledger.find(DriftReported, cause=checked.id) is not None and path.is_file():
        return _shown(project, checked, subject, path)
    columns = checked.record.report.columns
    limits = {column.column: column.threshold for column in columns if column.threshold is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle = project.bundle_of(subject)
    current = drift.as_reference(_served(project, subject, checked.as_of), bundle.schema)
    draw(
        _drawn(bundle),
        current,
        drift.watched(bundle.schema),
        path,
        thresholds=limits,
        share=project.params.monitor.min_share,
    )
    project.registry.attach(subject.record.run_id, path)
    # By the days since training, so that champions can be laid over one another.
    known_until = bundle.lineage["holdout"]["end"]
    trained = datetime.fromisoformat(known_until) if known_until else subject.recorded_at
    project.registry.measure(
        subject.record.run_id,
        _figures(checked.record.report, project.params.gate.metric),
        at=checked.as_of,
        step=(checked.as_of - trained).days,
    )
    project.ledger.record(DriftReported(path=str(path)), cause=checked, as_of=checked.as_of)
    return _shown(project, checked, subject, path)


def _shown(
    project: Project, checked: Entry[DriftChecked], subject: Entry[ModelPromoted], report: Path
) -> Path:
    """Show in Prefect what the window showed, and where it is drawn."""

    def page() -> str:
        run_id = subject.record.run_id
        drawn = project.registry.run_url(run_id, f"reports/{report.name}")
        return artifacts.window(checked.record, report=drawn, run=project.registry.run_url(run_id))

    artifacts.publish(f"{project.params.data.name}-window", page, description=checked.record.sentence)
    return report


def _figures(report: DriftReport, metric: str) -> dict[str, float]:
    """Return a judged window's numbers, to be seen over time beside the champion's own."""
    figures = {
        "monitor/drifted_share": report.share,
        "monitor/drifted_columns": float(sum(column.verdict == "drift" for column in report.columns)),
        "monitor/rows": float(report.window.rows),
    }
    if report.quality is not None and report.quality.loss is not None:
        figures |= {f"monitor/{metric}": report.quality.loss, "monitor/coverage": report.quality.coverage}
    return figures


def _served(project: Project, subject: Entry[ModelPromoted], as_of: datetime) -> pd.DataFrame:
    """Return the window's rows that this version answered: another's answers say nothing of it.

    With the features that it sees, which params.yaml may name otherwise by now.
    """
    start, schema = as_of - project.params.monitor.window, project.bundle_of(subject).schema
    served = reader.read(project.folder.predictions, schema, start=start, end=as_of)
    served = served[served["version"] == subject.record.version]
    if served.empty:
        raise EmptyWindowError(
            f"Version {subject.record.version} served no row between {start:%Y-%m-%d %H:%M} and "
            f"{as_of:%Y-%m-%d %H:%M} UTC.",
            remedy="Name the end of a window that has some with --as-of.",
        )
    return served


def _report(
    project: Project, subject: Entry[ModelPromoted], served: pd.DataFrame, as_of: datetime
) -> DriftReport:
    from mlops.adapters.evidently import statistics

    bundle = project.bundle_of(subject)
    policy = project.params.monitor
    report = drift.measure(
        _reference(bundle),
        _answers(bundle),
        drift.as_reference(served, bundle.schema),
        bundle.schema,
        window=(as_of - policy.window, as_of),
        policy=policy,
        block=project.params.gate.block,
        statistics=statistics,
        seed=project.params.model.seed,
    )
    joined = label_log.join(served, label_log.read(project.folder.labels), bundle.schema)
    return replace(report, quality=quality(joined, bundle, project.params, as_of))


def quality(joined: pd.DataFrame, bundle: Bundle, params: Params, as_of: datetime) -> QualityVerdict:
    """Judge what was answered by the labels of the rows that are old enough to have one.

    Parameters
    ----------
    joined
        What a model served, with the labels beside it: see `labels.join`.
    """
    schema, policy, gate = bundle.schema, params.monitor, params.gate
    mature = joined[joined["time"] < pd.Timestamp(as_of) - policy.label_maturity]
    labelled = mature[mature[schema.target].notna()]
    told = labelled[_answers_of(labelled, schema).finite()]
    truth, predictions = told[schema.target].to_numpy(), _answers_of(told, schema)
    losses = (
        metric.losses(gate.metric, truth, predictions, bundle.model.classes) if len(told) else np.empty(0)
    )
    verdict = drift.quality(
        losses,
        blocks_of(drift.as_blocks(told, schema), schema, gate.block),
        reference_loss=bundle.reference["loss"][gate.metric],
        coverage=len(labelled) / len(mature) if len(mature) else 0.0,
        policy=policy,
    )
    return replace(verdict, unanswered=len(labelled) - len(told))


def _answers_of(rows: pd.DataFrame, schema: Schema) -> Predictions:
    scores = None if not schema.task_type.has_classes else rows["score"].tolist()
    return Predictions(rows["prediction"].tolist(), scores)


def _reference(bundle: Bundle) -> pd.DataFrame:
    return pd.read_parquet(bundle.folder / "reference.parquet")


def _answers(bundle: Bundle) -> pd.DataFrame:
    path = bundle.folder / "predictions.parquet"
    # An older bundle keeps answers to fitted rows alone: beside those, nothing can be said.
    return pd.read_parquet(path) if path.is_file() else _reference(bundle).head(0)


def _drawn(bundle: Bundle) -> pd.DataFrame:
    """Return one table to draw, whose answers are not those to its rows: a page shows columns."""
    reference, predictions = _reference(bundle), _answers(bundle)
    if predictions.empty:
        return reference
    drawn = predictions["prediction"].sample(len(reference), replace=True, random_state=0)
    return reference.assign(prediction=drawn.to_numpy())
