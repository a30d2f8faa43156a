"""The rows that were served, by which version, and what it predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlops.evaluation import metrics as metric
from mlops.replay.played import Step
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    from mlops.replay.fits import Model
    from mlops.replay.timeline import Places, Timeline

__all__ = ["ServedRows"]


class ServedRows:
    """A prediction log in memory."""

    def __init__(self, timeline: Timeline, metric: str) -> None:
        n = len(timeline.rows)
        self._timeline = timeline
        self._metric = metric
        self._version = np.zeros(n, np.int64)

    def serve(self, start: datetime, end: datetime, model: Model, version: int) -> Step:
        """Let a model serve the rows of a step, and return what they cost, by the labels of all time."""
        places = self._timeline.between(start, end)
        self._version[places] = version
        predicted = model.predict(places)
        usable = self._timeline.labelled[places] & predicted.finite() if len(places) else np.zeros(0, bool)
        losses = self._losses(places[usable], model)
        loss = float(losses.mean()) if len(losses) else None
        return Step(start, end, version, len(places), len(losses), loss)

    def window(self, start: datetime, end: datetime, model: Model, version: int) -> pd.DataFrame:
        """Return the rows of [start, end) that a version served, with the labels that have come by then."""
        places = self._timeline.between(start, end)
        places = places[self._version[places] == version]
        log = self._timeline.log(places, end)
        predicted = model.predict(places)
        scores: Sequence[Any] = predicted.scores if predicted.scores is not None else [None] * len(places)
        return log.assign(
            prediction=pd.Series(predicted.values, index=log.index),
            score=pd.Series(list(scores), index=log.index, dtype=None if len(places) else object),
        )

    def _losses(self, places: Places, model: Model) -> Any:
        if not len(places):
            return np.empty(0)
        labels = self._timeline.rows[self._timeline.schema.target].iloc[places].tolist()
        predicted: Predictions = model.predict(places)
        return metric.losses(self._metric, labels, predicted, model.classes)
