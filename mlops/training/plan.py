"""Which rows are judged out of fold, which rows each fold fits, and which the model that ships fits.

A rolling origin (Tashman 2000): the newest rows are cut into stretches, and each stretch is predicted by
a model that was fitted on the rows before it. Only the table and params.yaml decide, never a clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import EmptyWindowError
from mlops.ledger.drawn_holdout import DrawnHoldout
from mlops.moments import after
from mlops.schema import Schema
from mlops.training.equal_rows import EqualRows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlops.config.params import TrainParams

__all__ = ["Fold", "Period", "Plan", "mature", "plan"]

log = logging.getLogger("mlops")

_POINT = 0.01
"""How far a cut between two folds may lie from where it is asked for; the share held out, half of it."""


@dataclass(frozen=True)
class Period:
    """Event times in [start, end); both None without a time column."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Fold:
    """One origin: what is fitted before it, and the stretch after it that is predicted.

    Parameters
    ----------
    fitted, scored
        Shape (n_fitted,), (n_scored,): places in the plan's `rows`.
    """

    number: int
    fitted: NDArray[np.int64]
    scored: NDArray[np.int64]
    fitted_period: Period
    scored_period: Period


@dataclass(frozen=True)
class Plan:
    """The folds of a backtest, and the rows of the refit.

    Parameters
    ----------
    rows
        The mature rows of the table, each with its label.
    folds
        Oldest first.
    refit
        Shape (n_refit,): places in `rows` of what the model that ships is fitted on.
    period, holdout
        The event times of the refit's rows, and of all that are scored.
    drawn
        How the holdout was drawn; None where time cuts it.
    """

    rows: pd.DataFrame
    folds: tuple[Fold, ...]
    refit: NDArray[np.int64]
    period: Period
    holdout: Period
    drawn: DrawnHoldout | None = None

    @property
    def before(self) -> pd.DataFrame:
        """The rows before the first origin, less the gap: all that a search may see.

        Without event time, those that no fold scores.
        """
        if self.period.start is not None:
            return self.rows.iloc[self.folds[0].fitted]
        scored = np.zeros(len(self.rows), bool)
        scored[self._places()] = True
        return self.rows[~scored]

    @property
    def train(self) -> pd.DataFrame:
        """The rows of the refit."""
        return self.rows.iloc[self.refit].reset_index(drop=True)

    @property
    def scored(self) -> pd.DataFrame:
        """All rows that a fold scores, in the order of `rows`."""
        return self.rows.iloc[self._places()].reset_index(drop=True)

    @property
    def fold_of(self) -> NDArray[np.int64]:
        """The number of the fold that scores each of the rows `scored`, shape (n_scored,)."""
        numbers = np.full(len(self.rows), -1)
        for fold in self.folds:
            numbers[fold.scored] = fold.number
        return numbers[self._places()]

    def parts(self) -> Iterator[tuple[Fold, pd.DataFrame, pd.DataFrame]]:
        """Yield each fold with its rows to fit and its rows to score."""
        for fold in self.folds:
            yield fold, *self.rows_of(fold)

    def rows_of(self, fold: Fold) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return a fold's rows to fit and its rows to score."""
        return self.rows.iloc[fold.fitted], self.rows.iloc[fold.scored]

    def _places(self) -> NDArray[np.int64]:
        return np.sort(np.concatenate([fold.scored for fold in self.folds]))


def plan(frame: pd.DataFrame, schema: Schema, rule: TrainParams) -> Plan:
    """Plan the backtest and the refit of a table.

    By event time, the newest ``train.holdout`` of the mature rows is cut into ``train.folds`` stretches
    of one length. A fold fits the ``train.window`` that ends ``train.gap`` before its stretch; the refit
    fits the newest ``train.window`` of all. Without event time a stable hash of the key chooses the share
    holdout / (window + holdout), as chance has it, and cuts it into folds; a fold fits every other row, the
    refit every row, and a row stays in its fold as others are added. Without a key the hash is that of the
    features, the share is within a point of that, and a row at a cut may leave its fold. Equal rows stay on
    one side, unless a combination of values has more than a hundredth of the rows: these are spread evenly
    over both.

    Parameters
    ----------
    frame
        The table, with rows that have no label yet. ``train.gap`` is taken for how long a label may take, see
        `mature`: it is no shorter than ``monitor.label_maturity``.

    Raises
    ------
    EmptyWindowError
        There is no row to score, or none to fit before an origin.
    """
    rows = mature(frame, schema, rule.gap)
    if rows.empty:
        raise EmptyWindowError(
            "There are no labelled rows to train on.", remedy="Add some: `mlops ingest FILE`."
        )
    return _by_time(rows, schema.time, rule) if schema.time else _by_hash(rows, schema, rule)


def mature(frame: pd.DataFrame, schema: Schema, maturity: timedelta) -> pd.DataFrame:
    """Return the rows whose label is known, without those that are there only because theirs came fast.

    Where a row younger than `maturity`, counted from the newest of the table, still waits for its label,
    all rows as young are left out: the labels that have come select the sample.
    """
    labelled = frame[schema.target].notna().to_numpy()
    if schema.time is not None and len(frame):
        times = frame[schema.time]
        young = (times > times.max() - maturity).to_numpy()
        if (young & ~labelled).any():
            labelled = labelled & ~young
    return frame[labelled].reset_index(drop=True)


def _by_time(rows: pd.DataFrame, time: str, rule: TrainParams) -> Plan:
    times = rows[time]
    newest = times.max()
    start, end = newest - rule.holdout, after(newest.to_pydatetime())
    edges = [start + rule.holdout * number / rule.folds for number in range(rule.folds)]
    folds: list[Fold] = []
    for number, origin in enumerate(edges):
        last = number == rule.folds - 1
        stop = end if last else edges[number + 1]
        scored = ((times >= origin) & (times < stop)).to_numpy()
        fit_end = origin - rule.gap
        fitted = ((times >= fit_end - rule.window) & (times < fit_end)).to_numpy()
        if not scored.any():
            log.info("no row lies between %s and %s: the fold is left out", _day(origin), _day(stop))
            continue
        if not fitted.any():
            raise EmptyWindowError(
                f"No row lies between {_minute(fit_end - rule.window)} and {_minute(fit_end)} UTC, which "
                f"fold {number + 1} of {rule.folds} fits; the rows reach from {_day(times.min())} to "
                f"{_day(newest)}.",
                remedy="Add older rows, or shorten train.holdout or train.gap in params.yaml.",
            )
        folds.append(
            Fold(
                number,
                np.flatnonzero(fitted),
                np.flatnonzero(scored),
                Period(_plain(fit_end - rule.window), _plain(fit_end)),
                Period(_plain(origin), _plain(stop)),
            )
        )
    period = Period(_plain(newest - rule.window), end)
    return Plan(
        rows,
        tuple(folds),
        np.flatnonzero((times >= period.start).to_numpy()),
        period,
        Period(folds[0].scored_period.start, end),
    )


def _by_hash(rows: pd.DataFrame, schema: Schema, rule: TrainParams) -> Plan:
    share = rule.holdout / (rule.window + rule.holdout)
    equal = EqualRows(rows, schema)
    numbers = _drawn(equal, share, rule.folds, tolerance=1.0 if schema.key else _POINT)
    none = Period()
    folds = tuple(
        Fold(number, np.flatnonzero(numbers != number), np.flatnonzero(numbers == number), none, none)
        for number in range(rule.folds)
        if (numbers == number).any()
    )
    if not folds or any(not len(fold.fitted) for fold in folds):
        raise EmptyWindowError(
            f"{len(rows)} rows are too few to hold out {share:.0%} of them in {rule.folds} folds.",
            remedy="Add rows, or change train.window and train.holdout in params.yaml: their ratio counts.",
        )
    drawn = DrawnHoldout(len(rows), int((numbers >= 0).sum()), share, *equal.on_both_sides(numbers >= 0))
    return Plan(rows, folds, np.arange(len(rows)), none, none, drawn)


def _drawn(equal: EqualRows, share: float, count: int, *, tolerance: float) -> NDArray[np.int64]:
    """Return the fold that scores each row, -1 for a row that none does.

    By the place of its hash, so that a row keeps its fold as others are added. A cut moves only as far as the
    tolerance needs; and where groups of equal rows are too large for it, they are spread.
    """
    rows = len(equal.sizes)
    together = equal.together(share * rows / count)
    while True:
        places = equal.places(together)
        ordered = np.sort(places)
        least = np.array(
            [_cut(ordered, share * number / count, tolerance) for number in range(1, count)], int
        )
        last = _cut(ordered, share, tolerance / 2)
        if together == 1 or abs(last - share * rows) <= max(1.0, tolerance * rows):
            break
        together //= 2
    cuts = np.maximum.accumulate(np.minimum(np.append(least, last), last))
    # How many rows lie before each: equal places, never parted by a cut, have as many.
    before = np.searchsorted(ordered, places, "left")
    numbers = np.searchsorted(cuts, before, "right")
    return np.where(numbers < count, numbers, -1)


def _cut(ordered: NDArray[np.uint64], share: float, tolerance: float) -> int:
    """Return how many of the first places make up a share, between two places that differ.

    That is where the hash itself cuts, if it is no farther from the share than the tolerance; else the
    nearest to it that is not, and where there is none, the nearest to the share.
    """
    rows, wanted = len(ordered), share * len(ordered)
    natural = int(np.searchsorted(ordered, np.uint64(share * 2.0**64), "left"))
    room = max(0.5, tolerance * rows)
    if abs(natural - wanted) <= room:
        return natural
    bounds = np.append(np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])), rows)
    near = bounds[np.abs(bounds - wanted) <= room]
    if len(near):
        return int(near[np.abs(near - natural).argmin()])
    return int(bounds[np.abs(bounds - wanted).argmin()])


def _plain(moment: Any) -> datetime:
    plain: datetime = moment.to_pydatetime() if hasattr(moment, "to_pydatetime") else moment
    return plain


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}"


def _minute(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
