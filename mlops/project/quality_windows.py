"""What a champion served, window by window, and every verdict on its quality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from mlops.ledger.records import DriftChecked, ModelPromoted, QualityChecked
from mlops.monitoring.quality import LossAtTraining
from mlops.monitoring.served_quality import ServedModel, WindowRows, began
from mlops.prediction_log import label_log, reader

if TYPE_CHECKING:
    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.entry import Entry
    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.model.bundle import Bundle
    from mlops.project.context import Project

__all__ = ["CheckedWindow", "QualityWindows", "checked_windows", "every_verdict", "served_model"]


@dataclass(frozen=True)
class CheckedWindow:
    """A judged window, and the newest verdict on its quality."""

    checked: Entry[DriftChecked]
    quality: QualityVerdict | None

    @property
    def report(self) -> DriftReport:
        """The window's report, with the newest verdict on its quality."""
        return replace(self.checked.record.report, quality=self.quality)


def checked_windows(project: Project, subject: Entry[ModelPromoted]) -> list[CheckedWindow]:
    """Return the judged windows of a promotion, in the order in which they were judged."""
    newest = {entry.cause: entry.record.quality for entry in project.ledger.entries(QualityChecked)}
    return [
        CheckedWindow(checked, newest.get(checked.id, checked.record.report.quality))
        for checked in project.ledger.effects(subject, DriftChecked)
    ]


def every_verdict(project: Project, version: str) -> list[QualityVerdict]:
    """Return every verdict on the quality of what a version served, under any of its promotions."""
    found: list[QualityVerdict] = []
    for entry in project.ledger.entries(DriftChecked, QualityChecked):
        record = entry.record
        if record.version != version:
            continue
        quality = record.quality if isinstance(record, QualityChecked) else record.report.quality
        if quality is not None:
            found.append(quality)
    return found


def served_model(bundle: Bundle, version: str, metric: str) -> ServedModel:
    """Return what must be known of a bundle to judge what it served."""
    at_training = bundle.reference
    mean = bundle.reference_loss(metric)
    loss = LossAtTraining(mean, at_training["error"][metric], at_training["blocks"])
    info = bundle.model
    return ServedModel(version, bundle.schema, info.classes, info.prior, loss, info.decision)


class QualityWindows:
    """The rows that were served in some stretch of time, with their labels but without their features.

    Parameters
    ----------
    start, end
        Event times, half-open: no window reaches beyond.
    """

    def __init__(self, project: Project, model: ServedModel, *, start: datetime, end: datetime) -> None:
        labels = label_log.read(project.folder.labels)
        narrow = replace(model.schema, features={})
        rows = reader.read(project.folder.predictions, narrow, start=start, end=end)
        self._rows = label_log.join(rows, labels, model.schema)
        self._version = model.version
        self._last_label = labels["at"].max().to_pydatetime() if len(labels) else None

    def served(self, start: datetime, end: datetime) -> WindowRows:
        """Return the rows of a window that the version served."""
        times = self._rows["time"]
        window = self._rows[(times >= pd.Timestamp(start)) & (times < pd.Timestamp(end))]
        ours = (window["version"] == self._version).to_numpy()
        since = began(window["time"], ours)
        return WindowRows(start, end, window[ours], since=since, last_label=self._last_label)
