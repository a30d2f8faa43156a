"""The rows that were served, by which version, and what it predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlops.evaluation import metrics as metric
from mlops.monitoring.served_quality import WindowRows, began
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

    @property
    def delay(self) -> timedelta:
        """How long after a row's event time its label is known."""
        return self._timeline.delay

    def serve(self, start: datetime, end: datetime, model: Model, version: int) -> Step:
        """Let a model serve the rows of a step, and return what they cost, by the labels of all time."""
        places = self._timeline.between(start, end)
        self._version[places] = version
        predicted = model.predict(places)
        usable = self._timeline.labelled[places] & predicted.finite() if len(places) else np.zeros(0, bool)
        losses = self._losses(places[usable], model)
        loss = float(losses.mean()) if len(losses) else None
        return Step(start, end, version, len(places), len(losses), loss)

    def window(
        self, start: datetime, end: datetime, model: Model, version: int, *, as_of: datetime
    ) -> WindowRows:
        """Return the rows of [start, end) that a version served, with the labels known by `as_of`."""
        window = self._timeline.between(start, end)
        ours = self._version[window] == version
        places = window[ours]
        log = self._timeline.log(places, as_of)
        predicted = model.predict(places)
        scores: Sequence[Any] = predicted.scores if predicted.scores is not None else [None] * len(places)
        rows = log.assign(
            prediction=pd.Series(predicted.values, index=log.index),
            score=pd.Series(list(scores), index=log.index, dtype=None if len(places) else object),
        )
        # What lies before the replay was served by nobody.
        others = (self._version[window] > 0) & ~ours
        since = began(self._timeline.times.iloc[window[ours | others]], ours[ours | others])
        return WindowRows(start, end, rows, since=since, last_label=self._timeline.last_label(as_of))

    def _losses(self, places: Places, model: Model) -> Any:
        if not len(places):
            return np.empty(0)
        labels = self._timeline.rows[self._timeline.schema.target].iloc[places].tolist()
        predicted: Predictions = model.predict(places)
        return metric.losses(self._metric, labels, predicted, model.classes, model.decision)
