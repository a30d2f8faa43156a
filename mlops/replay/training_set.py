"""The rows that a policy has to train on, as they come in: the lake of a replay."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlops.monitoring.retraining import check_enough, count_new, rejected_until, trainable_rows

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.replay.champion import Champion
    from mlops.replay.timeline import Timeline

__all__ = ["TrainingSet"]


class TrainingSet:
    """The rows of the lake, which grows by what was served and has its label.

    Parameters
    ----------
    start
        What lies before is there from the start, as far as its labels have come.
    """

    def __init__(self, timeline: Timeline, params: Params, start: datetime) -> None:
        self._timeline = timeline
        self._params = params
        self._chosen = timeline.known(start)
        self._chosen[timeline.before(start) :] = False

    @property
    def rows(self) -> pd.DataFrame:
        """The rows, with their places beside."""
        return self._timeline.lake(self._chosen)

    def count_mature(self, as_of: datetime, since: datetime) -> int:
        """Count the labelled rows of [since, as_of) that are mature."""
        timeline, known = self._timeline, self._timeline.known(as_of)
        return int(known[timeline.before(since) : timeline.before(self._mature_before(as_of))].sum())

    def add_all(self, as_of: datetime) -> None:
        """Add every mature row whose label has come, however few they are."""
        known = self._timeline.known(as_of)
        known[self._timeline.before(self._mature_before(as_of)) :] = False
        self._chosen |= known

    def add(self, as_of: datetime, champion: Champion, *, caused_by_drift: bool) -> None:
        """Add the served rows that may be trained on.

        Raises
        ------
        TooFewRowsError
            Fewer new ones than ``retrain.min_rows``, or too few of them have their label.
        """
        timeline, params = self._timeline, self._params
        maturity, schema = params.monitor.label_maturity, timeline.schema
        # Older rows of the lake count for nothing here; without a key rows cannot be recognised in it.
        recent = np.arange(len(self._chosen)) >= timeline.before(champion.fitted_until)
        looked_at = ~self._chosen | recent if schema.key else ~self._chosen
        places = np.flatnonzero(looked_at[: timeline.before(as_of)])
        lake = timeline.lake(self._chosen & recent)
        trainable = trainable_rows(
            lake,
            timeline.log(places, as_of),
            schema,
            as_of=as_of,
            maturity=maturity,
            since=champion.fitted_until,
        )
        rejected = rejected_until(champion.rejected, str(champion.version)) if caused_by_drift else None
        new = count_new([lake, trainable.new_rows], schema, since=champion.fitted_until, rejected=rejected)
        check_enough(
            trainable,
            new,
            min_rows=params.retrain.min_rows,
            min_coverage=params.monitor.min_coverage,
            rejected=rejected is not None,
        )
        self._chosen[trainable.new_rows.index.to_numpy()] = True

    def _mature_before(self, as_of: datetime) -> datetime:
        return as_of - self._params.monitor.label_maturity
