"""The quality of a champion's windows: judged when their labels are due, and again as labels come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.ledger.records import QualityChecked
from mlops.monitoring.confirmation import confirmed_again
from mlops.monitoring.quality import quality_window
from mlops.monitoring.served_quality import judged_again, served_quality
from mlops.project.quality_windows import (
    CheckedWindow,
    QualityWindows,
    checked_windows,
    every_verdict,
    served_model,
)

if TYPE_CHECKING:
    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.entry import Entry
    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.ledger.records import DriftChecked, ModelPromoted
    from mlops.project.context import Project

__all__ = ["ChampionQuality", "judge", "record_again"]


@dataclass(frozen=True)
class ChampionQuality:
    """What is known of a champion's quality as of some time.

    Parameters
    ----------
    current
        The verdict on the window whose labels are due by then; None where it was not asked for.
    windows
        Those that were judged before, up to then, each with the newest recorded verdict.
    again
        The places in `windows` of those whose labels have changed since, each with its new verdict.
    """

    current: QualityVerdict | None
    windows: Sequence[CheckedWindow]
    again: Sequence[tuple[int, QualityVerdict]]

    @property
    def reports(self) -> list[DriftReport]:
        """The reports of `windows`, each with the newest verdict, recorded or not."""
        newest = dict(self.again)
        return [
            replace(each.report, quality=newest.get(place, each.quality))
            for place, each in enumerate(self.windows)
        ]


def judge(
    project: Project, subject: Entry[ModelPromoted], as_of: datetime, *, current: bool
) -> ChampionQuality:
    """Judge the window whose labels are due as of some time, and earlier ones whose labels have changed.

    Nothing is recorded.

    Parameters
    ----------
    current
        Whether to judge the window that is due; it has a verdict already if it is among the earlier ones.
    """
    params, version = project.params, subject.record.version
    windows = [each for each in checked_windows(project, subject) if each.report.window.end <= as_of]
    judged = [(place, each.quality) for place, each in enumerate(windows) if each.quality is not None]
    verdicts = [verdict for _, verdict in judged]
    start, end = quality_window(as_of, params.monitor)
    model = served_model(project.bundle_of(subject), version, params.gate.metric)
    rows = QualityWindows(
        project,
        model,
        start=min([start, *(verdict.window.start for verdict in verdicts)]),
        end=max([end, *(verdict.window.end for verdict in verdicts)]),
    )
    earlier = every_verdict(project, version)
    due = served_quality(rows.served(start, end), model, params, earlier=earlier) if current else None
    looks = [*earlier, *([due] if due else [])]
    again = judged_again(verdicts, looks, model, params, rows.served)
    return ChampionQuality(due, windows, [(judged[place][0], verdict) for place, verdict in again])


def record_again(project: Project, quality: ChampionQuality, checked: Entry[DriftChecked]) -> None:
    """Record the verdicts on windows that were judged again.

    Parameters
    ----------
    checked
        The window of the same time. Where it confirms drift, they do not: one time starts one retraining.
    """
    version, entries = checked.record.version, project.ledger.entries(QualityChecked)
    started = checked.record.starts_retraining or any(
        entry.record.confirmed and entry.as_of == checked.as_of and entry.record.version == version
        for entry in entries
    )
    reports = [each.report for each in quality.windows]
    if quality.current is not None:
        reports.append(checked.record.report)
    begun = confirmed_again(reports, quality.again, starts_retraining=started, policy=project.params.monitor)
    for (place, verdict), since in zip(quality.again, begun, strict=True):
        record = QualityChecked(version=version, confirmed=since is not None, since=since, quality=verdict)
        project.ledger.record(record, cause=quality.windows[place].checked, as_of=checked.as_of)
