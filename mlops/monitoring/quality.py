"""Quality: is what was served still as good as at training, by the labels that came?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mlops.ledger.drift_report import QualityVerdict
from mlops.stats.interval import mean_interval

if TYPE_CHECKING:
    from mlops.config.params import MonitorParams

__all__ = ["quality"]


def quality(
    losses: ArrayLike,
    blocks: ArrayLike,
    *,
    ordered: bool,
    reference_loss: float,
    coverage: float,
    policy: MonitorParams,
) -> QualityVerdict:
    """Judge the served model by the labels that came.

    Worse means: even the near end of the loss's interval exceeds the loss at training by
    the share ``policy.min_effect``. Too few labels are ``unknown``, never healthy.

    Parameters
    ----------
    losses, blocks
        Shape (n_labelled,), see `mlops.evaluation.gate`.
    ordered
        Whether blocks are times, with neighbours.
    reference_loss
        The mean loss on the holdout, when the model was trained.
    coverage
        The share of mature rows that have a label.
    """
    rows = np.size(losses)
    if rows < policy.min_rows:
        note = f"{rows:,} labelled rows; monitor.min_rows asks for {policy.min_rows:,}"
        return QualityVerdict("unknown", None, None, None, reference_loss, coverage, rows, note)
    interval = mean_interval(losses, blocks, confidence=1 - policy.alpha, ordered=ordered)
    facts = (interval.mean, interval.low, interval.high, reference_loss, coverage, rows)
    if coverage < policy.min_coverage:
        least = f"monitor.min_coverage asks for {policy.min_coverage:.0%}"
        note = f"{coverage:.0%} of the rows have a label; {least}"
        return QualityVerdict("unknown", *facts, note)
    if interval.blocks < 2:
        return QualityVerdict("unknown", *facts, "one block of time alone says nothing of the next")
    worse = interval.low > reference_loss * (1 + policy.min_effect)
    return QualityVerdict("worse" if worse else "ok", *facts)
