"""The judgement of a window of served rows, as monitoring judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops.ledger.drift_report import DriftReport
from mlops.ledger.monitoring_records import DriftChecked, QualityChecked
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring import drift, follow_up
from mlops.monitoring.confirmation import confirmed_again
from mlops.monitoring.quality import quality_window
from mlops.monitoring.retraining import trained_until
from mlops.monitoring.served_quality import ServedModel, WindowRows, judged_again, served_quality

if TYPE_CHECKING:
    import pandas as pd

    from mlops.config.params import Params
    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.replay.champion import Champion
    from mlops.replay.policies import Watched
    from mlops.replay.served import ServedRows
    from mlops.schema import Schema

__all__ = ["JudgedStep", "judge_window", "sentence"]


@dataclass(frozen=True)
class JudgedStep:
    """What monitoring finds at the end of a step.

    Parameters
    ----------
    again
        The verdicts on the quality of earlier windows whose labels have come.
    """

    checked: DriftChecked
    again: tuple[QualityChecked, ...]

    @property
    def starting(self) -> DriftChecked | None:
        """What calls for a retraining: the window, also where labels of an earlier one confirmed drift."""
        if self.checked.starts_retraining:
            return self.checked
        confirming = next((each for each in self.again if each.confirmed), None)
        return replace(self.checked, since=confirming.since) if confirming else None


def judge_window(
    champion: Champion,
    served: ServedRows,
    schema: Schema,
    params: Params,
    *,
    as_of: datetime,
    watched: Watched,
) -> JudgedStep | None:
    """Judge the rows that the champion served in the window up to `as_of`; None where there are none.

    Its earlier windows are judged again where labels came.
    """
    reference, policy = champion.reference, params.monitor
    window = (as_of - policy.window, as_of)

    def rows(start: datetime, end: datetime) -> WindowRows:
        return served.window(start, end, champion.model, champion.version, as_of=as_of)

    current = rows(*window).rows
    if current.empty or reference is None:
        return None
    model = ServedModel(
        str(champion.version),
        schema,
        champion.model.classes,
        champion.model.prior,
        reference.loss[params.gate.metric],
        champion.model.decision,
    )
    quality = served_quality(rows(*quality_window(as_of, policy)), model, params, earlier=champion.looks)
    champion.looks.append(quality)
    before = tuple(champion.reports)
    again = tuple(_again(champion, model, params, rows, delay=served.delay))
    report = replace(_columns(champion, current, rows, schema, params, window, watched), quality=quality)
    checked = follow_up.check(
        report,
        champion.reports,
        params,
        version=str(champion.version),
        as_of=as_of,
        since=champion.since,
        trained_until=trained_until(
            champion.rejected, str(champion.version), fitted_until=champion.fitted_until
        ),
    )
    champion.reports.append(report)
    begun = confirmed_again(
        (*before, report), again, starts_retraining=checked.starts_retraining, policy=policy
    )
    verdicts = tuple(
        QualityChecked(version=checked.version, confirmed=since is not None, since=since, quality=verdict)
        for (_, verdict), since in zip(again, begun, strict=True)
    )
    return JudgedStep(checked, verdicts)


def _columns(
    champion: Champion,
    current: pd.DataFrame,
    rows: Callable[[datetime, datetime], WindowRows],
    schema: Schema,
    params: Params,
    window: tuple[datetime, datetime],
    watched: Watched,
) -> DriftReport:
    reference = champion.reference
    assert reference is not None
    if watched == "loss":
        served = ServedWindow(*window, len(current))
        return DriftReport(served, len(reference.features), (), 0.0, drifted=False)
    return drift.measure(
        reference.features,
        reference.predictions,
        drift.as_reference(current, schema),
        schema,
        window=window,
        policy=params.monitor,
        block=params.gate.block,
        seed=params.model.seed,
        nulls=champion.nulls,
        importances=reference.importances,
        earlier=lambda: drift.as_reference(rows(champion.fitted_until, window[0]).rows, schema),
    )


def _again(
    champion: Champion,
    model: ServedModel,
    params: Params,
    rows: Callable[[datetime, datetime], WindowRows],
    *,
    delay: timedelta,
) -> Iterator[tuple[int, QualityVerdict]]:
    """Judge the champion's windows again whose labels have come; a label once known does not change here."""
    last = max((report.window.end for report in champion.reports), default=None)
    waiting = [
        (place, report.quality)
        for place, report in enumerate(champion.reports)
        if report.quality is not None and last is not None and report.quality.window.end + delay > last
    ]
    verdicts = [verdict for _, verdict in waiting]
    for number, verdict in judged_again(verdicts, champion.looks, model, params, rows):
        place = waiting[number][0]
        champion.looks.append(verdict)
        champion.reports[place] = replace(champion.reports[place], quality=verdict)
        yield place, verdict


def sentence(checked: DriftChecked, watched: Watched) -> str:
    """Return the verdict on a window, of its loss alone where no column was looked at."""
    quality = checked.report.quality
    if watched != "loss" or quality is None:
        return "\n".join([checked.sentence, *checked.report.remarks])
    due = f" {checked.follow_up_sentence}" if checked.follow_up else ""
    confirmed = ", confirmed" if checked.confirmed else ""
    return f"Loss {quality.text.removeprefix('quality ')}{confirmed}.{due}"
