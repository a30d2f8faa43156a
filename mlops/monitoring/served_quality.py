"""The quality of what was served, on the rows old enough to have a label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.evaluation import metrics as metric
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring import drift
from mlops.monitoring.quality import LossAtTraining, judge_losses, look_at
from mlops.stats.blocks import blocks_of
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Predictions, constant

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.schema import Schema

__all__ = ["ServedModel", "WindowRows", "began", "judged_again", "served_quality"]

_WAY_OUT = "add them with `mlops labels add FILE`"


@dataclass(frozen=True)
class ServedModel:
    """What must be known of a model to judge what it served.

    Parameters
    ----------
    classes, prior
        Its labels, and what the baseline predicts: see `mlops.model.bundle.ModelInfo`.
    loss
        What it was at training.
    decision
        The rule that makes its labels; None where the likeliest is predicted.
    """

    version: str
    schema: Schema
    classes: Sequence[Any] | None
    prior: Sequence[float] | float
    loss: LossAtTraining
    decision: Decision | None = None

    def baseline(self, rows: int) -> Predictions:
        """Return the constant prediction for some rows."""
        fixed = constant(self.prior, self.classes, rows)
        return fixed if self.decision is None else self.decision.decide(fixed, self.classes)


@dataclass(frozen=True)
class WindowRows:
    """The rows that a version served in a window, with the labels that came.

    Parameters
    ----------
    start, end
        The window: event times, half-open.
    rows
        See `mlops.prediction_log.label_log.join`.
    since
        When the version began to serve, where another one served the first rows of the window.
    last_label
        When the newest label came, whatever row it is for; None before the first.
    """

    start: datetime
    end: datetime
    rows: pd.DataFrame
    since: datetime | None = None
    last_label: datetime | None = None

    def labels(self, target: str) -> str:
        """Return the digest of the labels, each with its row's id; empty where there is none."""
        labelled = self.rows[self.rows[target].notna()].sort_values("id", kind="stable")
        if labelled.empty:
            return ""
        pairs = zip(labelled["id"].to_numpy(object), labelled[target].to_numpy(object), strict=True)
        return hashlib.sha256("\n".join(f"{id}\t{label}" for id, label in pairs).encode()).hexdigest()


def judged_again(
    verdicts: Sequence[QualityVerdict],
    earlier: Iterable[QualityVerdict],
    model: ServedModel,
    params: Params,
    served: Callable[[datetime, datetime], WindowRows],
) -> Iterator[tuple[int, QualityVerdict]]:
    """Judge again the windows whose labels have changed since they were judged last.

    Not those of which predictions were deleted since: what is left is no window any more.

    Parameters
    ----------
    verdicts
        The newest verdict on each window.
    earlier
        Every verdict on what this version served, these included.
    served
        Returns the rows of a window.

    Yields
    ------
    The place in `verdicts`, and the new verdict.
    """
    known = list(earlier)
    for place, verdict in enumerate(verdicts):
        rows = served(verdict.window.start, verdict.window.end)
        whole = len(rows.rows) >= verdict.window.rows
        if whole and rows.labels(model.schema.target) != verdict.labels:
            again = served_quality(rows, model, params, earlier=known)
            known.append(again)
            yield place, again


def served_quality(
    served: WindowRows, model: ServedModel, params: Params, *, earlier: Iterable[QualityVerdict]
) -> QualityVerdict:
    """Judge the quality of served predictions by the labels that came.

    Too few labels are ``unknown``, never healthy: `QualityVerdict.note` says what is missing.

    Parameters
    ----------
    served
        The rows whose labels are due: those of `mlops.monitoring.quality.quality_window`, or of an earlier
        one.
    earlier
        Every verdict on what this version served.
    """
    policy, gate, schema = params.monitor, params.gate, model.schema
    rows = served.rows
    labelled = rows[rows[schema.target].notna()]
    predicted = labelled[_predictions_of(labelled, schema).finite()]
    blocks = blocks_of(drift.as_blocks(predicted, schema), schema, gate.block)
    coverage = len(labelled) / len(rows) if len(rows) else 0.0
    facts: dict[str, Any] = {
        "window": ServedWindow(served.start, served.end, len(rows)),
        "rows": len(predicted),
        "coverage": coverage,
        "reference_loss": model.loss.mean,
        "reference_error": model.loss.error,
        "labels": served.labels(schema.target),
        "invalid_predictions": len(labelled) - len(predicted),
        "served_since": served.since,
    }
    if note := _why_unknown(served, model, params, labelled=len(labelled), judged=len(predicted)):
        return QualityVerdict(state="unknown", note=note, **facts)
    if len(np.unique(blocks)) < 2:
        note = "all labels are of one block of time, which says nothing of the next"
        return QualityVerdict(state="unknown", note=note, **facts)
    labels = predicted[schema.target].to_numpy()
    look = look_at(served.end, earlier, policy=policy)
    judged = judge_losses(
        metric.losses(gate.metric, labels, _predictions_of(predicted, schema), model.classes, model.decision),
        metric.losses(gate.metric, labels, model.baseline(len(predicted)), model.classes, model.decision),
        blocks,
        ordered=schema.time is not None,
        at_training=model.loss,
        look=look,
        min_effect=policy.min_effect,
    )
    return QualityVerdict(
        state="worse" if judged.worse_than else "ok",
        look=look.number,
        confidence=1 - look.alpha / 2,
        loss=judged.interval.mean,
        low=judged.interval.low,
        high=judged.interval.high,
        above_training=judged.above_training,
        baseline_loss=judged.baseline_loss,
        above_baseline=judged.above_baseline,
        worse_than=judged.worse_than,
        **facts,
    )


def began(times: pd.Series[Any], served: NDArray[np.bool_]) -> datetime | None:
    """Return when a version began to serve, where another one served earlier rows; None where none did.

    Parameters
    ----------
    times
        Of all rows of a window, in order.
    served
        Shape (n_rows,): whether the version served each.
    """
    first = int(served.argmax()) if served.any() else 0
    moment: datetime | None = times.iloc[first].to_pydatetime() if first else None
    return moment


def _why_unknown(
    served: WindowRows, model: ServedModel, params: Params, *, labelled: int, judged: int
) -> str:
    """Return what is missing for a verdict, and the way out; empty where nothing is."""
    policy, rows = params.monitor, len(served.rows)
    missing = rows - labelled
    window = f"between {served.start:%Y-%m-%d %H:%M} and {served.end:%Y-%m-%d %H:%M}"
    if not rows:
        return f"version {model.version} served no row {window}, whose labels are due by now"
    if not labelled:
        last = served.last_label
        since = f"no label has come since {last:%Y-%m-%d %H:%M}" if last else "no label has ever come"
        return f"all {rows:,} rows {window} lack their label, {since}; {_WAY_OUT}"
    way_out = f"; {missing:,} labels are missing: {_WAY_OUT}" if missing else ""
    if labelled < rows * policy.min_coverage:
        share = f"{labelled / rows:.0%} of {rows:,} rows {window} have a label"
        return f"{share}, monitor.min_coverage asks for {policy.min_coverage:.0%}{way_out}"
    if judged < policy.min_rows:
        return f"{judged:,} labelled rows {window}, monitor.min_rows asks for {policy.min_rows:,}{way_out}"
    return ""


def _predictions_of(rows: pd.DataFrame, schema: Schema) -> Predictions:
    scores = None if not schema.task_type.has_classes else rows["score"].tolist()
    return Predictions(rows["prediction"].tolist(), scores)
