"""The gate: does a challenger beat the champion on the same rows, significantly enough to replace it?

Both are scored on identical rows and compared row by row. Rows of one block of time (a day)
rise and fall together, and so do neighbouring blocks: an interval by single rows would be several
times too narrow and promote noise.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mlops.errors import DataError
from mlops.ledger.judgement import Comparison, GateJudged, GateLimits, GateOutcome, Skill, Window
from mlops.stats.interval import Interval, mean_interval
from mlops.task_types import losses

if TYPE_CHECKING:
    from mlops.config.params import GateParams

__all__ = ["compare", "decide", "reject_rolled_back", "reject_stale"]


def compare(
    challenger: ArrayLike,
    champion: ArrayLike,
    blocks: ArrayLike,
    *,
    confidence: float,
    ordered: bool,
    folds: ArrayLike | None = None,
) -> Comparison:
    """Compare two models by their losses on the same rows.

    Parameters
    ----------
    challenger, champion
        Shape (n_rows,): a loss per row, in the metric's unit, in the same order of rows.
    blocks
        Shape (n_rows,): the block of each row; see `mlops.stats.blocks.blocks_of`.
    ordered
        Whether blocks are times, with neighbours.
    folds
        Shape (n_rows,): the fold that each row was held out in; one where none are named.

    Raises
    ------
    TooFewRowsError
        No row at all. Widen the holdout.
    DataError
        The shapes differ, or a loss is not finite.
    """
    ours, theirs = np.asarray(challenger, float), np.asarray(champion, float)
    if ours.shape != theirs.shape:
        raise DataError(
            f"The challenger has {ours.size:,} losses and the champion {theirs.size:,}.",
            remedy="Score both on the same rows.",
        )
    less = mean_interval(ours - theirs, blocks, confidence=confidence, ordered=ordered, folds=folds)
    return Comparison(
        rows=less.rows,
        blocks=less.blocks,
        loss=float(ours.mean()),
        other_loss=float(theirs.mean()),
        difference=less.mean,
        low=less.low,
        high=less.high,
    )


def decide(
    against_champion: Comparison | None,
    against_baseline: Comparison,
    skill: Interval,
    policy: GateParams,
    *,
    version: str,
    promotion: str | None = None,
    champion: str | None = None,
    window: Window | None = None,
) -> GateJudged:
    """Judge whether the challenger is promoted.

    It is when there are rows and blocks enough, its interval over the champion lies below
    minus ``policy.min_improvement``, and its skill significantly above 0: where labels are noise, a
    challenger on more rows overfits less and does beat the champion. The first model has no
    champion: it is promoted, and the sentence says what it is worth.

    Parameters
    ----------
    against_champion
        None where no model is serving yet.
    against_baseline
        The comparison with a constant prediction.
    skill
        The challenger's `metric.skill` by blocks.
    version, promotion, champion, window
        What is judged, against which promotion of which version, on rows of which event times.
    """
    outcome = _outcome(against_champion, skill, policy)
    return _judged(
        outcome,
        policy,
        version=version,
        promotion=promotion,
        champion=champion,
        comparison=against_champion,
        baseline=against_baseline,
        skill=Skill(skill.mean, skill.low, skill.high),
        window=window,
    )


def reject_stale(
    policy: GateParams,
    *,
    version: str,
    promotion: str,
    champion: str,
    window: Window,
    chosen_until: datetime,
) -> GateJudged:
    """Reject a challenger whose rows begin before the end of those that the champion was selected on."""
    facts: dict[str, Any] = {"promotion": promotion, "champion": champion, "window": window}
    return _judged("rows_not_fresh", policy, version=version, chosen_until=chosen_until, **facts)


def reject_rolled_back(
    policy: GateParams, *, version: str, promotion: str | None, as_version: str, at: datetime
) -> GateJudged:
    """Reject the very model that a person rolled back.

    Parameters
    ----------
    as_version, at
        The version it was then, and when it was rolled back.
    """
    facts: dict[str, Any] = {"rolled_back_version": as_version, "rolled_back_at": at}
    return _judged("rolled_back", policy, version=version, promotion=promotion, **facts)


def _outcome(comparison: Comparison | None, skill: Interval, policy: GateParams) -> GateOutcome:
    if comparison is None:
        return "first"
    if comparison.rows < policy.min_rows or comparison.blocks < policy.min_blocks:
        return "too_few_rows"
    if comparison.high >= -policy.min_improvement:
        return "not_significant"
    return "better" if skill.low > 0 else "no_skill"


def _judged(outcome: GateOutcome, policy: GateParams, **facts: Any) -> GateJudged:
    return GateJudged(
        promote=outcome in ("first", "better"),
        outcome=outcome,
        metric=policy.metric,
        metric_title=losses.find(policy.metric).title,
        confidence=policy.confidence,
        limits=GateLimits(
            min_rows=policy.min_rows,
            min_blocks=policy.min_blocks,
            min_improvement=policy.min_improvement,
            block_seconds=policy.block.total_seconds(),
        ),
        **facts,
    )
