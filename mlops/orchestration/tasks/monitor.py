"""Monitor drift and quality of the served rows, judged once per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.events import emit_event

from mlops.errors import EmptyWindowError
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.records import (
    DriftChecked,
    DriftConfirmed,
    DriftReported,
    GateJudged,
    ModelPromoted,
    QualityChecked,
)
from mlops.model.bundle import Bundle
from mlops.monitoring import drift, follow_up
from mlops.monitoring.masking import without_sentinels
from mlops.monitoring.retraining import trained_until
from mlops.orchestration import artifacts
from mlops.orchestration.task import step
from mlops.orchestration.tasks import retrain
from mlops.prediction_log import reader
from mlops.project import champion_quality
from mlops.project.context import Project

__all__ = [
    "DRIFT_EVENT",
    "announce",
    "check",
    "judged_again",
    "model_resource",
    "summary",
    "trained_for",
    "write_report",
]

DRIFT_EVENT = "mlops.drift.confirmed"


def model_resource(name: str) -> str:
    """Return the Prefect resource that a project's events are about."""
    return f"mlops.model.{name}"


@step(name="compare the window with the champion's reference")
def check(root: Path, as_of: datetime | None = None) -> Entry[DriftChecked]:
    """Judge the rows that the deployed version served in the window up to `as_of`; record the verdict.

    Then the quality of the champion's earlier windows is judged again where their labels have changed:
    see `judged_again`.

    Parameters
    ----------
    as_of
        The end of the window, event time; default: just after the newest served row.

    Returns
    -------
    The ledger's ``drift.checked``: the report, whether drift is confirmed, a sentence. The
    same window of the same champion is judged once: a repeated call returns the first entry.

    Raises
    ------
    EmptyWindowError
        Nothing was served in the window.
    """
    project = Project.at(root)
    as_of = project.moment(as_of)
    subject = project.served()
    checked = project.ledger.find(DriftChecked, cause=subject.id, as_of=as_of)
    served = _served(project, subject, as_of) if checked is None else None
    reader.compact(project.folder.predictions, project.schema)
    quality = champion_quality.judge(project, subject, as_of, current=checked is None)
    if served is not None:
        verdict = follow_up.check(
            replace(_report(project, subject, served, as_of), quality=quality.current),
            quality.reports,
            project.params,
            version=subject.record.version,
            as_of=as_of,
            since=trained_for(project, subject),
            trained_until=_trained_until(project, subject),
        )
        checked = project.ledger.record(verdict, cause=subject, as_of=as_of)
    assert checked is not None
    champion_quality.record_again(project, quality, checked)
    return _publish_columns(project, checked)


@step(name="read what newer labels showed")
def judged_again(root: Path, checked: Entry[DriftChecked]) -> list[Entry[QualityChecked]]:
    """Return the verdicts on earlier windows that `check` recorded as of the same time."""
    entries = Project.at(root).ledger.entries(QualityChecked)
    version = checked.record.version
    return [e for e in entries if e.as_of == checked.as_of and e.record.version == version]


def trained_for(project: Project, subject: Entry[ModelPromoted]) -> datetime | None:
    """Return when the change began whose retraining was promoted; None for a person's or a schedule's."""
    cause: Entry[Any] | None = subject
    while cause is not None and not isinstance(cause.record, DriftConfirmed):
        cause = project.ledger.get(cause.cause) if cause.cause else None
    return cause.record.since if cause is not None else None


def _trained_until(project: Project, subject: Entry[ModelPromoted]) -> datetime | None:
    judged = (entry.record for entry in project.ledger.entries(GateJudged))
    return trained_until(judged, subject.id, fitted_until=subject.record.fitted_until)


def _publish_columns(project: Project, checked: Entry[DriftChecked]) -> Entry[DriftChecked]:
    """Publish the window's columns as an artifact in Prefect."""
    artifacts.publish(
        f"{project.params.data.name}-drift",
        lambda: artifacts.columns(checked.record),
        description=checked.record.sentence,
    )
    return checked


def summary(checked: Entry[DriftChecked], again: Sequence[Entry[QualityChecked]] = ()) -> str:
    """Return the verdict on a window, a line for each column with more to say, and newer verdicts."""
    newer = [entry.record.sentence for entry in again]
    return "\n".join([checked.record.sentence, *checked.record.report.remarks, *newer])


@step(name="announce confirmed drift")
def announce(root: Path, checked: Entry[DriftChecked | QualityChecked]) -> Entry[DriftConfirmed]:
    """Record confirmed drift, then emit the event that starts the retraining.

    The ledger's row counts. A lost event costs time, not the retraining: the reconciler finds the row.
    """
    project = Project.at(root)
    confirmed = retrain.confirm(project, checked)
    emit_event(
        event=DRIFT_EVENT,
        resource={
            "prefect.resource.id": model_resource(project.params.data.name),
            "prefect.resource.name": project.params.data.name,
        },
        payload=retrain.flow_parameters(confirmed),
    )
    return confirmed


@step(name="write the drift report", retries=2, timeout=300)
def write_report(root: Path, checked: Entry[DriftChecked]) -> Path:
    """Render Evidently's report of a judged window, as HTML in .mlops and attached to the run in MLflow."""
    from mlops.adapters.evidently import write_report as draw

    project = Project.at(root)
    subject = project.ledger.get(checked.cause, ModelPromoted)
    assert subject is not None
    assert checked.as_of is not None
    path = project.folder.home / "reports" / f"drift-{checked.as_of:%Y-%m-%d}-{checked.id[:6]}.html"
    if project.ledger.find(DriftReported, cause=checked.id) is not None and path.is_file():
        return _publish_window(project, checked, subject, path)
    columns = checked.record.report.columns
    values = {column.column: column.value for column in columns if column.value is not None}
    limits = {column.column: column.threshold for column in columns if column.threshold is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle = project.bundle_of(subject)
    current = drift.as_reference(_served(project, subject, checked.as_of), bundle.schema)
    watched = drift.watched(bundle.schema)
    compared = without_sentinels(
        _report_reference(bundle),
        current,
        {name: watched[name] for name in bundle.schema.types if name in watched},
    )
    draw(compared.reference, compared.current, watched, path, values=values, thresholds=limits)
    project.registry.attach(subject.record.run_id, path)
    # By days since training, so that champions can be compared in one chart.
    known_until = bundle.lineage["fitted_until"]
    trained = datetime.fromisoformat(known_until) if known_until else subject.recorded_at
    project.registry.measure(
        subject.record.run_id,
        _figures(checked.record.report, project.params.gate.metric),
        at=checked.as_of,
        step=(checked.as_of - trained).days,
    )
    project.ledger.record(DriftReported(path=str(path)), cause=checked, as_of=checked.as_of)
    return _publish_window(project, checked, subject, path)


def _publish_window(
    project: Project, checked: Entry[DriftChecked], subject: Entry[ModelPromoted], report: Path
) -> Path:
    """Publish the window and the address of its report as an artifact in Prefect."""

    def page() -> str:
        run_id = subject.record.run_id
        report_url = project.registry.run_url(run_id, f"reports/{report.name}")
        return artifacts.window(checked.record, report=report_url, run=project.registry.run_url(run_id))

    artifacts.publish(f"{project.params.data.name}-window", page, description=checked.record.sentence)
    return report


def _figures(report: DriftReport, metric: str) -> dict[str, float]:
    """Return a judged window's metrics, logged over time to the champion's run."""
    figures = {
        "monitor/drifted_share": report.share,
        "monitor/drifted_columns": float(sum(column.verdict == "drift" for column in report.columns)),
        "monitor/rows": float(report.window.rows),
    }
    return figures | (_quality_figures(report.quality, metric) if report.quality else {})


def _quality_figures(quality: QualityVerdict, metric: str) -> dict[str, float]:
    figures = {"monitor/coverage": quality.coverage, "monitor/labelled_rows": float(quality.rows)}
    if quality.loss is not None and quality.baseline_loss is not None:
        figures |= {f"monitor/{metric}": quality.loss, f"monitor/baseline_{metric}": quality.baseline_loss}
        figures |= {
            "monitor/worse_than_training": float("training" in quality.worse_than),
            "monitor/worse_than_baseline": float("baseline" in quality.worse_than),
        }
    return figures


def _served(project: Project, subject: Entry[ModelPromoted], as_of: datetime) -> pd.DataFrame:
    """Return the window's rows that this version predicted, with the features of its schema.

    params.yaml may name other features by now.
    """
    start, schema = as_of - project.params.monitor.window, project.bundle_of(subject).schema
    served = reader.read(project.folder.predictions, schema, start=start, end=as_of)
    served = served[served["version"] == subject.record.version]
    if served.empty:
        raise EmptyWindowError(
            f"Version {subject.record.version} served no rows between {start:%Y-%m-%d %H:%M} and "
            f"{as_of:%Y-%m-%d %H:%M} UTC.",
            remedy="Pass the end of a window with served rows: --as-of TIME.",
        )
    return served


def _served_before(project: Project, subject: Entry[ModelPromoted], start: datetime) -> pd.DataFrame:
    """Return the rows that this version predicted before a window, as `drift.measure` takes them."""
    schema = project.bundle_of(subject).schema
    served = reader.read(project.folder.predictions, schema, end=start)
    return drift.as_reference(served[served["version"] == subject.record.version], schema)


def _report(
    project: Project, subject: Entry[ModelPromoted], served: pd.DataFrame, as_of: datetime
) -> DriftReport:
    from mlops.adapters.evidently import statistics

    bundle = project.bundle_of(subject)
    policy = project.params.monitor
    return drift.measure(
        _reference(bundle),
        _reference_predictions(bundle),
        drift.as_reference(served, bundle.schema),
        bundle.schema,
        window=(as_of - policy.window, as_of),
        policy=policy,
        block=project.params.gate.block,
        statistics=statistics,
        seed=project.params.model.seed,
        importances=bundle.reference["importances"],
        earlier=lambda: _served_before(project, subject, as_of - policy.window),
    )


def _reference(bundle: Bundle) -> pd.DataFrame:
    return pd.read_parquet(bundle.folder / "reference.parquet")


def _reference_predictions(bundle: Bundle) -> pd.DataFrame:
    path = bundle.folder / "predictions.parquet"
    # Without out-of-fold predictions there is nothing to compare with: those on fitted rows are biased.
    return pd.read_parquet(path) if path.is_file() else _reference(bundle).head(0)


def _report_reference(bundle: Bundle) -> pd.DataFrame:
    """Return the reference for the report, which is per column: its predictions are those of other rows."""
    reference, predicted = _reference(bundle), _reference_predictions(bundle)
    if predicted.empty:
        return reference
    sampled = predicted["prediction"].sample(len(reference), replace=True, random_state=0)
    return reference.assign(prediction=sampled.to_numpy())
