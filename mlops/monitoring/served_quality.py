"""The quality of what was served, on the rows old enough to have a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlops.evaluation import metrics as metric
from mlops.monitoring import drift
from mlops.monitoring.quality import quality
from mlops.stats.blocks import blocks_of
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.ledger.drift_report import QualityVerdict
    from mlops.schema import Schema

__all__ = ["served_quality"]


def served_quality(
    joined: pd.DataFrame,
    schema: Schema,
    params: Params,
    *,
    as_of: datetime,
    classes: Sequence[Any] | None,
    reference_loss: float,
) -> QualityVerdict:
    """Judge the quality of served predictions on the rows old enough to have a label.

    Parameters
    ----------
    joined
        Served rows with their labels: see `mlops.prediction_log.label_log.join`.
    schema, classes
        The served model's.
    as_of
        The present, in event time.
    reference_loss
        The model's mean loss out of fold, when it was trained.
    """
    policy, gate = params.monitor, params.gate
    mature = joined[joined["time"] < pd.Timestamp(as_of) - policy.label_maturity]
    labelled = mature[mature[schema.target].notna()]
    predicted = labelled[_predictions_of(labelled, schema).finite()]
    labels, predictions = predicted[schema.target].to_numpy(), _predictions_of(predicted, schema)
    losses = metric.losses(gate.metric, labels, predictions, classes) if len(predicted) else np.empty(0)
    verdict = quality(
        losses,
        blocks_of(drift.as_blocks(predicted, schema), schema, gate.block),
        ordered=schema.time is not None,
        reference_loss=reference_loss,
        coverage=len(labelled) / len(mature) if len(mature) else 0.0,
        policy=policy,
    )
    return replace(verdict, invalid_predictions=len(labelled) - len(predicted))


def _predictions_of(rows: pd.DataFrame, schema: Schema) -> Predictions:
    scores = None if not schema.task_type.has_classes else rows["score"].tolist()
    return Predictions(rows["prediction"].tolist(), scores)
