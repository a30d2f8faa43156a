"""Drift: has what the model sees moved away from what it was trained on?

Evidently, or anything else that returns the same statistics, measures; this module judges. A
column is ``ok``, has ``drift``, is ``insufficient`` (too few rows to say) or ``invalid`` (broken,
for its owner to mend); only ``drift`` may retrain. Thresholds come from the reference itself: what
its own days differ by is no drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops import feature_types
from mlops.errors import MissingColumnError
from mlops.feature_types.cells import spelled
from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring import alpha
from mlops.monitoring.masking import without_sentinels
from mlops.monitoring.validity import Blocks, Finding, validate
from mlops.schema import Schema
from mlops.stats import statistics as registered
from mlops.stats.blocks import blocks_of
from mlops.stats.chance import null_quantiles
from mlops.stats.distance import distances, prepared

if TYPE_CHECKING:
    from mlops.config.params import MonitorParams

__all__ = [
    "Measured",
    "Nulls",
    "Statistics",
    "as_blocks",
    "as_reference",
    "column_verdicts",
    "judge",
    "measure",
    "thresholds",
    "watched",
]

Statistics = Callable[[pd.DataFrame, pd.DataFrame, Mapping[str, str]], dict[str, float]]
"""Measures reference against current, column by column: `distance.distances`, or Evidently."""

Nulls = Callable[..., dict[str, float]]
"""Estimates what chance alone does: `chance.null_quantiles`, or one with its arguments that remembers."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a window, by column.

    Parameters
    ----------
    values, thresholds
        The statistic, and what it must exceed to be drift.
    findings
        What is striking about a column, see `mlops.monitoring.validity`.
    notes
        What else a person should know.
    """

    values: Mapping[str, float]
    thresholds: Mapping[str, float]
    findings: Mapping[str, Finding] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def watched(schema: Schema) -> dict[str, str]:
    """Return the columns that are watched: the features, and the model's prediction.

    Not those without a statistic, as dates: they move on by themselves, and each window would have drifted.
    """
    return {**_features(schema), **_prediction(schema)}


def _features(schema: Schema) -> dict[str, str]:
    return {name: type.name for name, type in schema.types.items() if type.statistic}


def _prediction(schema: Schema) -> dict[str, str]:
    return {"prediction": schema.task_type.watched_type.name}


def as_reference(log: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Give rows of the prediction log the columns of a bundle's reference.

    `prediction` becomes what the reference holds: the score for a binary task, the label for a
    multiclass one, the value for a regression. The event time is called as in `schema`.
    """
    sources = {name: name for name in schema.features if name != schema.time}
    sources["prediction"] = schema.task_type.watched_column
    if schema.time is not None:
        sources[schema.time] = "time"
    rows = pd.DataFrame({name: log[source].array for name, source in sources.items()})
    # Labels may be numbers or booleans; they are watched as categories.
    named = {"prediction": rows["prediction"].map(spelled)} if schema.task_type.watched_type.is_text else {}
    return rows.assign(**named)


def as_blocks(log: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return of the prediction log what tells blocks, called as in `schema`: the event time and the key."""
    roles = {"time": schema.time, "key": schema.key}
    columns = {name: log[role].array for role, name in roles.items() if name is not None}
    return pd.DataFrame(columns, index=log.index)


def measure(
    reference: pd.DataFrame,
    predictions: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
    *,
    window: tuple[datetime, datetime],
    policy: MonitorParams,
    block: timedelta = timedelta(days=1),
    statistics: Statistics = distances,
    quality: QualityVerdict | None = None,
    seed: int = 0,
    nulls: Nulls = null_quantiles,
    importances: Mapping[str, float] | None = None,
    earlier: Callable[[], pd.DataFrame] | None = None,
) -> DriftReport:
    """Judge a window of served rows against the reference: validate, measure, judge.

    Parameters
    ----------
    reference
        Rows that the model was fitted on: the features, and the event time where there is one.
    predictions
        Its predictions for rows that it was not fitted on: ``prediction``, and their event time.
    current
        Columns as `as_reference` gives them; nulls allowed.
    window
        Event times of `current`, half-open.
    block
        Rows within one block of time belong together.
    statistics, nulls
        Who measures, and who estimates what chance does; one that remembers saves time beside one reference.
    importances
        What the model uses of each feature, by which alpha is split, see `mlops.monitoring.alpha`.
    earlier
        Reads the rows that the model served before the window, as `current`: a column may have come into
        another unit there. Called where one may have.

    Raises
    ------
    MissingColumnError
        The reference lacks a column of the schema.

    Notes
    -----
    Long on purpose: most of it is this documentation.
    """
    measured = _measured(
        reference,
        predictions,
        current,
        schema,
        policy=policy,
        block=block,
        statistics=statistics,
        seed=seed,
        nulls=nulls,
        importances=importances or {},
        earlier=earlier,
    )
    return judge(
        measured,
        watched(schema),
        window=ServedWindow(*window, len(current)),
        reference_rows=len(reference),
        policy=policy,
        quality=quality,
    )


def column_verdicts(
    reference: pd.DataFrame,
    predictions: pd.DataFrame | None,
    current: pd.DataFrame,
    schema: Schema,
    *,
    policy: MonitorParams,
    block: timedelta,
    seed: int,
) -> tuple[ColumnVerdict, ...]:
    """Judge each column as `measure` does; the features alone where `predictions` is None."""
    measured = _measured(
        reference, predictions, current, schema, policy=policy, block=block, statistics=distances, seed=seed
    )
    columns = watched(schema) if predictions is not None else _features(schema)
    return _verdicts(measured, columns, rows=len(current), policy=policy)


def _measured(
    reference: pd.DataFrame,
    predictions: pd.DataFrame | None,
    current: pd.DataFrame,
    schema: Schema,
    *,
    policy: MonitorParams,
    block: timedelta,
    statistics: Statistics,
    seed: int,
    nulls: Nulls = null_quantiles,
    importances: Mapping[str, float] = MappingProxyType({}),
    earlier: Callable[[], pd.DataFrame] | None = None,
) -> Measured:
    features, predicted = _features(schema), _prediction(schema) if predictions is not None else {}
    if missing := [name for name in features if name not in reference]:
        raise MissingColumnError(missing, have=list(reference.columns), where="The model's reference")
    compared = without_sentinels(reference, current, features)
    reference, current = compared.reference, compared.current
    # Not the predictions: where the target moves, so do they, and that is for a new model to mend.
    blocks = Blocks.of(reference, current, schema, block, earlier)
    findings = validate(reference, current, features, blocks, accept=policy.accept)
    broken = {name for name, finding in findings.items() if finding.is_broken or name not in current}
    sound = {name: type for name, type in features.items() if name not in broken}
    tails = alpha.split(policy.alpha, {**sound, **predicted}, importances)
    values: dict[str, float] = {}
    limits: dict[str, float] = {}
    window_blocks = len(np.unique(blocks.current))
    parts = [(reference, blocks.reference, sound)]
    if predictions is not None:
        parts.append((predictions, blocks_of(predictions, schema, block), predicted))
    for known, known_blocks, part in parts:
        if len(current) < policy.min_rows or not part:
            continue
        values |= statistics(known, current, part)
        limits |= thresholds(
            known,
            part,
            known_blocks,
            window_blocks=window_blocks,
            window_rows=len(current),
            tails={name: tails[name] for name in part},
            ordered=schema.time is not None,
            min_effect=policy.min_effect,
            seed=seed,
            nulls=nulls,
        )
    return Measured(values, limits, findings, compared.notes)


def thresholds(
    reference: pd.DataFrame,
    columns: Mapping[str, str],
    blocks: NDArray[np.int64],
    *,
    window_blocks: int,
    window_rows: int,
    tails: Mapping[str, float],
    ordered: bool,
    min_effect: float,
    seed: int,
    nulls: Nulls = null_quantiles,
) -> dict[str, float]:
    """Return the value each column's statistic must exceed to be drift.

    What chance alone exceeds in a share `tails` of the windows, estimated from the reference's own blocks;
    never less than `min_effect`.

    Parameters
    ----------
    blocks
        Shape (n_rows,): the block of each reference row, see `mlops.stats.blocks.blocks_of`.
    window_blocks, window_rows
        The extent of the window to judge.
    tails
        Each column's part of alpha.
    ordered
        Whether blocks are times, with neighbours.

    Returns
    -------
    dict
        By column; without those the reference is too short to judge.
    """
    null = nulls(
        prepared(reference, columns),
        columns,
        blocks,
        window_blocks=window_blocks,
        window_rows=window_rows,
        tails=tails,
        ordered=ordered,
        seed=seed,
    )
    return {name: max(value, min_effect) for name, value in null.items()}


def judge(
    measured: Measured,
    columns: Mapping[str, str],
    *,
    window: ServedWindow,
    reference_rows: int,
    policy: MonitorParams,
    quality: QualityVerdict | None = None,
) -> DriftReport:
    """Turn statistics into verdicts, and verdicts into one on the window: one drifted column is enough."""
    verdicts = _verdicts(measured, columns, rows=window.rows, policy=policy)
    judged = [column for column in verdicts if column.verdict in ("ok", "drift")]
    drifting = sum(column.verdict == "drift" for column in judged)
    share = drifting / len(judged) if judged else 0.0
    return DriftReport(window, reference_rows, verdicts, share, drifting > 0, quality)


def _verdicts(
    measured: Measured, columns: Mapping[str, str], *, rows: int, policy: MonitorParams
) -> tuple[ColumnVerdict, ...]:
    scarce = rows < policy.min_rows

    def verdict(name: str, type: str) -> ColumnVerdict:
        value, limit = (_finite(figures.get(name)) for figures in (measured.values, measured.thresholds))
        facts = (name, registered.title(feature_types.find(type)), value, limit)
        if scarce:
            note = f"too few rows: monitor.min_rows asks for {policy.min_rows:,}"
            return ColumnVerdict(*facts, "insufficient", note)
        finding, sentinels = measured.findings.get(name), measured.notes.get(name, "")

        def noted(note: str) -> str:
            return "; ".join(part for part in (note, sentinels) if part)

        if finding is not None and finding.is_broken:
            return ColumnVerdict(*facts, "invalid", noted(finding.note))
        if finding is not None and finding.is_accepted:
            return ColumnVerdict(*facts, "drift", noted(finding.note))
        if value is None or limit is None:
            note = "no values to compare" if value is None else "the reference spans too few blocks of time"
            return ColumnVerdict(*facts, "insufficient", noted(note))
        if value <= limit:
            return ColumnVerdict(*facts, "ok", sentinels)
        return ColumnVerdict(*facts, "drift", noted(finding.note if finding is not None else ""))

    return tuple(verdict(name, type) for name, type in columns.items())


def _finite(figure: float | None) -> float | None:
    """Return a figure that can decide: what is not a number is below no threshold."""
    return figure if figure is not None and isfinite(figure) else None
