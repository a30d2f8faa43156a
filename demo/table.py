"""The demo's table: what served each month, and the first model left alone, on the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd

from mlops.evaluation import metrics
from mlops.ledger.entry import Entry
from mlops.ledger.records import DriftChecked, GateJudged, ModelPromoted, RetrainFinished, RetrainRefused
from mlops.model.predictor import load
from mlops.prediction_log import label_log, reader
from mlops.project.context import Project
from mlops.tables.conform import columns_of
from mlops.task_types.predictions import Predictions

__all__ = ["month_bounds", "rows"]


def month_bounds(number: int) -> tuple[datetime, datetime]:
    """Return a month of 2013 as the monitoring saw it: from its first day to the next's, UTC."""
    first = pd.Timestamp(2013, number, 1, tz="UTC")
    return first.to_pydatetime(), (first + pd.offsets.MonthBegin()).to_pydatetime()


def rows(project: Project, months: Iterable[int]) -> list[dict[str, Any]]:
    """Return a row for each month, from the log, the labels and the ledger."""
    first = project.bundle_of(project.ledger.entries(ModelPromoted)[0])
    predictor = load(first)
    known = label_log.read(project.folder.labels)
    table = []
    for number in months:
        start, end = month_bounds(number)
        served = reader.read(project.folder.predictions, project.schema, start=start, end=end)
        told = label_log.join(served, known, project.schema)
        told = told[told[project.schema.target].notna()]
        table.append(
            {
                "month": f"{start:%Y-%m}",
                "rows": len(served),
                "labelled": len(told),
                "drift": _drift(project, end),
                "decision": _decision(project, end),
                "served": _versions(served),
                "loss": _loss(
                    project, told, Predictions(told["prediction"].tolist(), told["score"].tolist()), first
                ),
                "first_loss": _loss(
                    project, told, predictor.predict(columns_of(told, project.schema)), first
                ),
            }
        )
    return table


def _loss(project: Project, told: pd.DataFrame, answers: Predictions, first: Any) -> float:
    labels = told[project.schema.target].to_numpy()
    return float(metrics.losses(project.params.gate.metric, labels, answers, first.model.classes).mean())


def _drift(project: Project, as_of: datetime) -> dict[str, Any]:
    checked = _at(project.ledger.entries(DriftChecked), as_of)
    if checked is None:
        return {"confirmed": False, "follow_up": False, "drifted": 0, "judged": 0}
    verdicts = [column.verdict for column in checked.record.report.columns]
    return {
        "confirmed": checked.record.confirmed,
        "follow_up": checked.record.follow_up,
        "drifted": verdicts.count("drift"),
        "judged": verdicts.count("drift") + verdicts.count("ok"),
    }


def _decision(project: Project, as_of: datetime) -> str:
    answer = _at(project.ledger.entries(RetrainFinished, RetrainRefused), as_of)
    if answer is None:
        return "none asked"
    if answer.kind == "retrain.refused":
        return "not retrained"
    judged = _at(project.ledger.entries(GateJudged), as_of)
    assert judged is not None
    return f"{'promoted' if answer.record.promoted else 'rejected'} {judged.record.version}"


def _versions(served: pd.DataFrame) -> dict[str, float]:
    """Return the share of the rows that each version answered."""
    shares = served["version"].value_counts(normalize=True, sort=False)
    return {str(version): float(share) for version, share in sorted(shares.items())}


def _at(entries: list[Entry], as_of: datetime) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.as_of == as_of), None)
