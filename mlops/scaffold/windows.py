"""How much of a table is fitted, held out, watched and waited for, proposed from how its rows lie in time.

What is proposed passes `mlops.config.consistency`, and a retraining one cooldown after another can be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any

from mlops.config.params import GateParams
from mlops.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Span", "Windows"]

_HELD_OUT = 0.2
"""The share of the table's rows that is held out."""
_STRETCHED = 3.0
"""A table that reaches so many times as far as nearly all of its rows is stretched by the others."""
_LEAST_SPAN = timedelta(minutes=10)
"""Shorter than that there are no windows: their unit is a minute."""
_A_WINDOW = 100
"""Rows that a monitored window should have at least."""
_FOLDS = 3
_BLOCKS = GateParams().min_blocks
"""Blocks of time that the gate compares on, where the table has as many."""


@dataclass(frozen=True)
class Span:
    """How the rows of a table lie in time.

    Parameters
    ----------
    begin, end
        Of the oldest row and the newest.
    recent
        From when on the newest fifth of the rows is.
    middle
        Between these two lie nearly all rows; None where nobody looked.
    step
        The time from one block with rows to the next, on average over the newest: a month, where rows come
        by the month. None where nobody looked.
    """

    begin: datetime
    end: datetime
    recent: datetime
    middle: tuple[datetime, datetime] | None = None
    step: timedelta | None = None

    @classmethod
    def of(cls, times: pd.Series[Any], begin: datetime, end: datetime) -> Span:
        """Look at the times of some rows from all of the table, in UTC.

        Raises
        ------
        UsageError
            They lie too close to one another to hold the newest out.
        """
        import pandas as pd

        if end - begin < _LEAST_SPAN:
            same = begin == end
            raise UsageError(
                f"--time: {times.name} is {begin:%Y-%m-%d %H:%M}"
                + (" in every row" if same else f" to {end:%H:%M}")
                + ": too short to hold out the newest rows.",
                remedy=f"Exclude it (--exclude {times.name}), or name a column of times that differ.",
            )
        places = times.quantile([0.01, 1 - _HELD_OUT, 0.99], "lower")
        low, recent, high = (moment.to_pydatetime() for moment in pd.DatetimeIndex(places))
        step = _step(times, _unit(end - begin, end - recent), since=recent)
        return cls(begin, end, recent, (low, high), step)

    @property
    def warning(self) -> str:
        """A warning about outlying times; empty where there are none."""
        if self.middle is None:
            return ""
        low, high = self.middle
        if self.end - self.begin < _STRETCHED * (high - low):
            return ""
        return (
            f"runs from {self.begin:%Y-%m-%d} to {self.end:%Y-%m-%d}, but 98% of the rows lie between "
            f"{low:%Y-%m-%d} and {high:%Y-%m-%d}: check the other rows, for windows "
            "end at the newest."
        )


@dataclass(frozen=True)
class Windows:
    """How much of the table is fitted, held out and watched, from how its rows lie in time.

    Parameters
    ----------
    span
        From the oldest row to the newest; None where rows have no time.
    rows
        With a label.
    recent
        The stretch that holds the newest fifth of the rows; None where they come evenly.
    step
        The time from one block with rows to the next; None where every block has some.
    """

    span: timedelta | None
    rows: int
    recent: timedelta | None = None
    step: timedelta | None = None

    @cached_property
    def unit(self) -> timedelta:
        """The block of time whose rows rise and fall together, and that windows are counted in."""
        return _unit(self.span or timedelta(days=100), self.recent)

    @cached_property
    def holdout(self) -> timedelta:
        """The newest rows, predicted out of fold: a fifth, or more where that is too short for the gate."""
        if self.span is None:
            return 20 * self.unit  # of 100: a share of the rows
        most = (self.span - self.gap) // self.unit - 1  # some are fitted
        for_gate = min(ceil(_BLOCKS * self._step / self.unit), self.span // (2 * self.unit))
        return min(most, max(for_gate, round(self._recent / self.unit))) * self.unit

    @property
    def folds(self) -> int:
        """Stretches of the holdout, each with rows where they come as they did."""
        return _FOLDS if self.span is None else _within(1, self.holdout / self._step, _FOLDS)

    @property
    def min_blocks(self) -> int:
        """Blocks of time that the gate must have to compare on."""
        return _BLOCKS if self.span is None else _within(2, self.holdout / self._step, _BLOCKS)

    @property
    def has_few_blocks(self) -> bool:
        """Whether the gate has to do with fewer blocks than by default."""
        return self.min_blocks < _BLOCKS

    @property
    def gap(self) -> timedelta:
        """Left out between what is fitted and what is held out."""
        return self.unit

    @property
    def train(self) -> timedelta:
        """How far back fitted rows reach: to the oldest."""
        if self.span is None:
            return 80 * self.unit
        return (ceil(self.span / self.unit) + 1) * self.unit

    @property
    def monitor(self) -> timedelta:
        """A window of served rows that is judged: long enough to hold some, no longer than the holdout."""
        if self.span is None or not self.rows:
            return 7 * self.unit
        enough = ceil(_A_WINDOW * self._recent / (_HELD_OUT * self.rows) / self.unit)
        return max(7, min(enough, self.holdout // self.unit), ceil(self.holdout / self.unit / 2)) * self.unit

    @property
    def cooldown(self) -> timedelta:
        """The pause after a retraining: two windows, or as long as it takes that the next can be judged.

        What drifts in every window is learnt in every second one, at half the cost. With one block more
        than the gate needs: rows do not come evenly.
        """
        pause = 2 * self.monitor
        if self.span is None:
            return pause
        enough = ceil((self.min_blocks + 1) * self._step / self.unit)
        if (rows := self._coming(self.holdout)) >= 1:
            enough = max(enough, ceil(self.holdout * (self.gate_rows / rows) / self.unit) + 1)
        return max(pause, self.gap + enough * self.unit)

    @property
    def gate_rows(self) -> int:
        """Rows that the gate must have to compare on: no more than half of what is held out."""
        wanted = _within(20, self.rows * _HELD_OUT / 3, 500)
        return _within(1, self._coming(self.holdout) / 2, wanted)

    @property
    def monitor_rows(self) -> int:
        """Rows that a window must have to be judged."""
        return _within(30, self._expected / 4, 500)

    @property
    def retrain_rows(self) -> int:
        """New rows with their label that a retraining must have."""
        wanted = _within(30, self._expected / 2, 1000)
        if self.span is not None:  # as many as come until the next retraining
            wanted = _within(1, self._coming(self.cooldown - self.gap - self._step), wanted)
        return max(self.gate_rows, wanted)

    @property
    def _expected(self) -> float:
        """Rows that a monitored window will have, if they go on coming as they did."""
        if self.span is None:
            return self.rows / 10
        share = self.monitor / self._recent if self._recent else 1 / _HELD_OUT
        return self.rows * min(1.0, _HELD_OUT * share)

    def _coming(self, length: timedelta) -> float:
        """Return how many rows come in a time: as in the newest fifth or in the holdout, the fewer."""
        newest = self.rows * _HELD_OUT
        if self.span is None:
            return newest * (length / self.holdout)
        older = self.holdout - self._recent
        if older <= timedelta(0):
            return newest * (length / self._recent)
        held_out = newest + self.rows * (1 - _HELD_OUT) * (older / (self.span - self._recent))
        rate = length / self.holdout * held_out
        return min(rate, newest * (length / self._recent)) if self._recent else rate

    @cached_property
    def _step(self) -> timedelta:
        """The time from one block with rows to the next: of few rows, each is a block."""
        a_row = self._recent / (_HELD_OUT * self.rows) if self.rows else timedelta(0)
        return max(self.unit, self.step or self.unit, a_row)

    @property
    def _recent(self) -> timedelta:
        assert self.span is not None
        return self.span * _HELD_OUT if self.recent is None else self.recent


def _unit(span: timedelta, recent: timedelta | None) -> timedelta:
    """Return a day, an hour or a minute, so that a table has twenty of them or more."""
    # By the newer rows, too: one of long ago makes no hours days.
    if recent:
        span = min(span, recent / _HELD_OUT)
    for unit in (timedelta(days=1), timedelta(hours=1)):
        if span >= 20 * unit:
            return unit
    return timedelta(minutes=1)


def _step(times: pd.Series[Any], unit: timedelta, *, since: datetime) -> timedelta:
    """Return the time from one block with rows to the next, over those since then and at least five."""
    import pandas as pd

    blocks = times.dt.floor(pd.Timedelta(unit)).drop_duplicates().sort_values()
    count = min(len(blocks) - 1, max(_BLOCKS, int((blocks >= since).sum())))
    if count < 1:
        return unit
    newest: pd.Timedelta = blocks.iloc[-1] - blocks.iloc[-1 - count]
    return newest.to_pytimedelta() / count


def _within(least: int, value: float, most: int) -> int:
    return int(min(most, max(least, value)))
