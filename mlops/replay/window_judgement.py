"""The judgement of a window of served rows, as monitoring judges it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.ledger.drift_report import DriftReport, ServedWindow
from mlops.ledger.monitoring_records import DriftChecked
from mlops.monitoring import drift, follow_up
from mlops.monitoring.retraining import rejected_until
from mlops.monitoring.served_quality import served_quality

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.replay.champion import Champion
    from mlops.replay.policies import Watched
    from mlops.replay.served import ServedRows
    from mlops.schema import Schema

__all__ = ["judge_window", "sentence"]


def judge_window(
    champion: Champion,
    served: ServedRows,
    schema: Schema,
    params: Params,
    *,
    as_of: datetime,
    watched: Watched,
) -> DriftChecked | None:
    """Judge the rows that the champion served in the window up to `as_of`; None where there are none."""
    policy = params.monitor
    window = (as_of - policy.window, as_of)
    joined = served.window(*window, champion.model, champion.version)
    reference = champion.reference
    if joined.empty or reference is None:
        return None
    if watched == "loss":
        report = DriftReport(
            ServedWindow(*window, len(joined)), len(reference.features), (), 0.0, drifted=False
        )
    else:
        report = drift.measure(
            reference.features,
            reference.predictions,
            drift.as_reference(joined, schema),
            schema,
            window=window,
            policy=policy,
            block=params.gate.block,
            seed=params.model.seed,
            nulls=champion.nulls,
            importances=reference.importances,
            earlier=lambda: drift.as_reference(
                served.window(champion.fitted_until, window[0], champion.model, champion.version), schema
            ),
        )
    quality = served_quality(
        joined,
        schema,
        params,
        as_of=as_of,
        classes=champion.model.classes,
        reference_loss=reference.loss[params.gate.metric],
    )
    report = replace(report, quality=quality)
    rejected = rejected_until(champion.rejected, str(champion.version))
    checked = follow_up.check(
        report,
        champion.reports,
        params,
        version=str(champion.version),
        as_of=as_of,
        since=champion.since,
        trained_until=max(champion.fitted_until, rejected or champion.fitted_until),
    )
    champion.reports.append(report)
    return checked


def sentence(checked: DriftChecked, watched: Watched) -> str:
    """Return the verdict on a window, of its loss alone where no column was looked at."""
    quality = checked.report.quality
    if watched != "loss" or quality is None:
        return "\n".join([checked.sentence, *checked.report.remarks])
    due = f" {checked.follow_up_sentence}" if checked.follow_up else ""
    if quality.loss is None:
        return f"Loss unknown: {quality.note}.{due}"
    verdict = "Loss unknown" if quality.state == "unknown" else f"Loss {quality.state}"
    confirmed = ", confirmed" if checked.confirmed else ""
    note = f"; {quality.note}" if quality.note else ""
    return (
        f"{verdict}{confirmed}: {quality.loss:.4f} vs {quality.reference_loss:.4f} out of fold at training; "
        f"{quality.rows:,} labelled rows{note}.{due}"
    )
