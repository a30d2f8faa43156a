"""Whether the windows of params.yaml fit one another: what is fitted, held out, judged and waited for.

Pure: only params.yaml decides, and the rate at which labelled rows came, where it is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from mlops.config.durations import format_duration
from mlops.config.params import Params
from mlops.errors import ConfigError

__all__ = ["Inconsistency", "RowRate", "check", "find"]

log = logging.getLogger("mlops")

_ENDLESS = timedelta(days=999_999_999)


@dataclass(frozen=True)
class Inconsistency:
    """A setting that contradicts others.

    Parameters
    ----------
    path, value
        The setting to change, and what it is, as params.yaml spells it.
    allowed
        What would fit the others.
    reason
        The others, and what goes wrong.
    is_hard
        Nothing trained this way could be right, or could ever be judged. Otherwise work is wasted.
    """

    path: str
    value: str | int
    allowed: str
    reason: str
    is_hard: bool = False

    @property
    def error(self) -> ConfigError:
        """The error that names it."""
        return ConfigError(self.path, value=self.value, allowed=f"{self.allowed} ({self.reason})")


@dataclass(frozen=True)
class RowRate:
    """How many labelled rows come.

    Parameters
    ----------
    rows
        Of the newest part of the table; without a time column, of all of it.
    length
        The event time that this part covers; None without a time column.
    """

    rows: int
    length: timedelta | None = None


def find(params: Params, rate: RowRate | None = None) -> tuple[Inconsistency, ...]:
    """Return what contradicts each other, the hard ones first.

    Parameters
    ----------
    rate
        How the table's rows come; None where it is not known: then nothing is said of counts of rows.
    """
    found = [*_rows(params)]
    if params.data.time is not None:
        found += [*_held_out(params), *_waited(params, rate)]
    if rate is not None:
        found += _reached(params, rate)
    return tuple(sorted(found, key=lambda one: not one.is_hard))


def check(params: Params, rate: RowRate | None = None) -> None:
    """Refuse params.yaml if its windows contradict one another, and warn of what only wastes work.

    Not asked of a file that is only read: what was trained with other windows is reproduced all the same.

    Raises
    ------
    ConfigError
        The first hard inconsistency; `mlops doctor` lists all.
    """
    for one in find(params, rate):
        if one.is_hard:
            raise one.error
        log.warning("%s", one.error.message)


def _held_out(params: Params) -> Iterator[Inconsistency]:
    train, gate, maturity = params.train, params.gate, params.monitor.label_maturity
    if train.gap < maturity:
        reason = "monitor.label_maturity: a fit would know labels that come later"
        yield _duration("train.gap", train.gap, maturity, reason, is_hard=True)
    blocks = {
        "train.folds": (train.folds, "each fold needs a block of time"),
        "gate.min_blocks": (gate.min_blocks, "the gate could never compare on enough blocks of time"),
    }
    for path, (count, why) in blocks.items():
        if train.holdout < (least := _sum(timedelta(0), count, gate.block)):
            reason = f"{path} x gate.block: {why}"
            yield _duration("train.holdout", train.holdout, least, reason, is_hard=True)
    if train.window < train.holdout:
        reason = "train.holdout: models would be fitted on less time than they are judged on"
        yield _duration("train.window", train.window, train.holdout, reason)


def _rows(params: Params) -> Iterator[Inconsistency]:
    least = params.gate.min_rows
    if params.retrain.min_rows < least:
        reason = "gate.min_rows: a retraining would start on fewer new rows than the gate compares on"
        yield Inconsistency("retrain.min_rows", params.retrain.min_rows, f"{least} or more", reason)


def _waited(params: Params, rate: RowRate | None) -> Iterator[Inconsistency]:
    """Yield whether a retraining right after the cooldown finds enough rows that are new to the champion.

    New are those that come ``train.gap`` and more after the newest that the champion is fitted on.
    """
    train, gate, cooldown = params.train, params.gate, params.retrain.cooldown
    if params.retrain.policy == "never":
        return
    least = _sum(train.gap, gate.min_blocks, gate.block)
    why = "train.gap + gate.min_blocks x gate.block"
    # Of more rows than are held out no cooldown would bring enough.
    if rate is not None and rate.length is not None and gate.min_rows <= _expected(params, rate):
        rows = train.gap + rate.length * (gate.min_rows / rate.rows)
        if rows > least:
            least, why = rows, f"train.gap, and the time in which gate.min_rows ({gate.min_rows}) rows come"
    if cooldown < least:
        reason = f"{why}: a retraining right after it has too few new rows to be judged"
        yield _duration("retrain.cooldown", cooldown, least, reason)


def _reached(params: Params, rate: RowRate) -> Iterator[Inconsistency]:
    """Yield whether the gate's rows are more than are held out."""
    expected = max(1, int(_expected(params, rate)))
    if params.gate.min_rows > expected:
        reason = (
            f"train.holdout holds about {expected} of the table's rows: "
            "no model could replace the champion; or hold out more"
        )
        yield Inconsistency("gate.min_rows", params.gate.min_rows, f"{expected} or fewer", reason)


def _expected(params: Params, rate: RowRate) -> float:
    """Return how many rows are held out, if they come as they did."""
    train = params.train
    if rate.length is None:
        return rate.rows * (train.holdout / (train.window + train.holdout))
    return rate.rows * (train.holdout / rate.length) if rate.length else float(rate.rows)


def _sum(first: timedelta, count: int, length: timedelta) -> timedelta:
    try:
        return first + count * length
    except OverflowError:
        return _ENDLESS


def _duration(
    path: str, value: timedelta, least: timedelta, reason: str, *, is_hard: bool = False
) -> Inconsistency:
    allowed = f"{format_duration(_rounded(least))} or more"
    return Inconsistency(path, format_duration(value), allowed, reason, is_hard)


def _rounded(length: timedelta) -> timedelta:
    """Return a length that reads well, and no shorter: whole hours above two days, else whole minutes."""
    unit = timedelta(hours=1) if length > timedelta(days=2) else timedelta(minutes=1)
    if length % timedelta(seconds=1):
        return -(-length // unit) * unit
    return length
