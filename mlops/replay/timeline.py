"""A history of labelled rows as it passed: what was known of which row, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlops.schema import Schema

__all__ = ["PLACE", "Mask", "Places", "Timeline"]

PLACE = "place in the history"
"""A column that no table has: where a row lies in the timeline, whatever was left out before it."""

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Rows in the order of their event time, each with the label that came later or never.

    Parameters
    ----------
    rows
        Conformed to `schema`, which has a time, in the order of `mlops.tables.conform.in_order`; labels may
        be missing.
    delay
        How long after a row's event time its label is known.
    """

    rows: pd.DataFrame
    schema: Schema
    delay: timedelta

    @cached_property
    def times(self) -> pd.Series[Any]:
        """Each row's event time."""
        return self.rows[str(self.schema.time)]

    @cached_property
    def labelled(self) -> Mask:
        """Whether each row has a label, sooner or later."""
        return np.asarray(self.rows[self.schema.target].notna())

    @cached_property
    def keys(self) -> pd.Series[Any] | None:
        """Each row's key; None without a key column."""
        return self.rows[self.schema.key] if self.schema.key else None

    def before(self, moment: datetime) -> int:
        """Return how many rows lie before a moment."""
        return int(self.times.searchsorted(pd.Timestamp(moment)))

    def between(self, start: datetime, end: datetime) -> Places:
        """Return the places of the rows in [start, end)."""
        return np.arange(self.before(start), self.before(end))

    def known(self, as_of: datetime) -> Mask:
        """Whether the label of each row has come by then."""
        came = self.labelled.copy()
        came[self.before(as_of - self.delay) :] = False
        return came

    def last_label(self, as_of: datetime) -> datetime | None:
        """Return when the newest label came that is known by then; None before the first."""
        known = np.flatnonzero(self.known(as_of))
        return (self.times.iloc[known[-1]] + self.delay).to_pydatetime() if len(known) else None

    def lake(self, chosen: Mask) -> pd.DataFrame:
        """Return rows as the lake has them, all with their label, and `PLACE` beside."""
        return self.rows[chosen].assign(**{PLACE: np.flatnonzero(chosen)})

    @cached_property
    def _logged(self) -> pd.DataFrame:
        """The rows as the prediction log has them, before they were predicted."""
        schema, rows = self.schema, self.rows
        ids = pd.Series(np.arange(len(rows)).astype(str), index=rows.index)
        columns: dict[str, Any] = {name: rows[name] for name in schema.features if name != schema.time}
        columns |= {"id": ids, "key": ids if self.keys is None else self.keys}
        columns |= {"time": self.times, "at": self.times, schema.target: rows[schema.target]}
        return pd.DataFrame(columns)

    def log(self, places: Places, as_of: datetime) -> pd.DataFrame:
        """Return rows as the prediction log has them, with the labels that have come."""
        target = self.schema.target
        rows = self._logged.iloc[places]
        return rows.assign(**{target: rows[target].where(self.known(as_of)[places])})
