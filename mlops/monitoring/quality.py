"""Quality: is what was served still as good as at training, and better than a constant prediction?

It is judged on a window of its own, which lags by the time that labels take, and again as they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import hypot, pi
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from mlops.stats.interval import Interval, mean_interval

if TYPE_CHECKING:
    from mlops.config.params import MonitorParams
    from mlops.ledger.quality_verdict import Alarm, QualityVerdict

__all__ = [
    "Judged",
    "Look",
    "LossAtTraining",
    "judge_losses",
    "look_at",
    "loss_at_training",
    "quality_window",
]


@dataclass(frozen=True)
class LossAtTraining:
    """The mean loss out of fold, when the model was trained.

    Parameters
    ----------
    error
        Its standard error.
    blocks
        How many blocks of rows it rests on.
    """

    mean: float
    error: float
    blocks: int

    def half_width(self, confidence: float) -> float:
        """Return half of the width of its two-sided interval."""
        return float(stdtrit(max(1, self.blocks - 1), (1 + confidence) / 2)) * self.error


@dataclass(frozen=True)
class Look:
    """One judgement of the labels of a stretch of time: its number, and its share of alpha."""

    number: int
    alpha: float


@dataclass(frozen=True)
class Judged:
    """The mean loss of a window, and by how much it surely exceeds two others."""

    interval: Interval
    above_training: float
    baseline_loss: float
    above_baseline: float
    worse_than: tuple[Alarm, ...]


def quality_window(as_of: datetime, policy: MonitorParams) -> tuple[datetime, datetime]:
    """Return the event times, half-open, of the rows whose labels are due, as many as a window has."""
    end = as_of - policy.label_maturity
    return end - policy.window, end


def look_at(end: datetime, earlier: Iterable[QualityVerdict], *, policy: MonitorParams) -> Look:
    """Return the next look at the labels of a window.

    The k-th look has the share ``6 / (pi k) ** 2`` of alpha, and all looks together have alpha, however many
    come: the online Bonferroni procedure, see Tian and Ramdas (Statistical Methods in Medical Research 2021)
    and Foster and Stine (JRSS B 2008). Windows that end less than half a window after another one share its
    alpha, so that a schedule shorter than the window raises no more false alarms.

    Parameters
    ----------
    end
        The window's.
    earlier
        Every verdict on what this version served; those that are unknown cost nothing.
    """
    known = [verdict for verdict in earlier if verdict.known]
    stretch: dict[datetime, datetime] = {}
    begin: datetime | None = None
    for each in sorted({verdict.window.end for verdict in known} | {end}):
        if begin is None or each - begin >= policy.window / 2:
            begin = each
        stretch[each] = begin
    number = 1 + sum(stretch[verdict.window.end] == stretch[end] for verdict in known)
    return Look(number, policy.alpha * 6 / (pi * number) ** 2)


def judge_losses(
    losses: ArrayLike,
    baseline_losses: ArrayLike,
    blocks: ArrayLike,
    *,
    ordered: bool,
    at_training: LossAtTraining,
    look: Look,
    min_effect: float,
) -> Judged:
    """Compare the loss of served rows with that at training, and with a constant prediction's.

    Worse than at training means that the difference is surely above 0, and at least the share `min_effect`
    of the loss at training. Both means were estimated: the bound of their difference is theirs, squared and
    added (Zou and Donner, Statistics in Medicine 2008). Worse than the baseline means that the mean
    difference by row is surely above 0. Each of the two has half of the look's alpha.

    Parameters
    ----------
    losses, baseline_losses, blocks
        Shape (n_rows,), two blocks or more.
    ordered
        Whether blocks are times, with neighbours.
    """
    confidence = 1 - look.alpha / 2
    ours = np.asarray(losses, float)
    baseline = np.asarray(baseline_losses, float)
    interval = mean_interval(ours, blocks, confidence=confidence, ordered=ordered)
    beside = mean_interval(ours - baseline, blocks, confidence=confidence, ordered=ordered)
    rise = interval.mean - at_training.mean
    above_training = rise - hypot(interval.mean - interval.low, at_training.half_width(confidence))
    alarms: list[Alarm] = []
    if above_training > 0 and rise >= min_effect * at_training.mean:
        alarms.append("training")
    if beside.low > 0:
        alarms.append("baseline")
    return Judged(interval, above_training, float(baseline.mean()), beside.low, tuple(alarms))


def loss_at_training(losses: ArrayLike, blocks: ArrayLike, *, ordered: bool) -> LossAtTraining:
    """Estimate the mean loss out of fold, and how sure it is.

    Parameters
    ----------
    losses, blocks
        Shape (n_rows,): see `mlops.stats.interval.mean_interval`.
    """
    level = 0.95
    found = mean_interval(losses, blocks, confidence=level, ordered=ordered)
    if found.blocks < 2:  # one block says nothing of others: its rows are all there is
        found = mean_interval(losses, np.arange(found.rows), confidence=level, ordered=False)
    if found.blocks < 2:
        return LossAtTraining(found.mean, 0.0, found.blocks)
    error = (found.high - found.mean) / float(stdtrit(found.blocks - 1, (1 + level) / 2))
    # To fewer digits than machines differ in: the bundle is named by its bytes.
    return LossAtTraining(found.mean, float(f"{error:.6g}"), found.blocks)
