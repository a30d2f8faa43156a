"""The gate: does a challenger beat the champion on the same rows, significantly enough to replace it?

Both are scored on identical rows and compared row by row. Rows of one block of time (a day)
rise and fall together, and so do neighbouring blocks: an interval by single rows would be several
times too narrow and promote noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mlops.evaluation.scopes import compared, deciding, paired
from mlops.ledger.judgement import (
    Comparison,
    GateJudged,
    GateLimits,
    GateOutcome,
    RefitCheck,
    ScopeComparison,
    Skill,
)
from mlops.stats.interval import Interval, mean_interval
from mlops.task_types import losses

if TYPE_CHECKING:
    from mlops.config.params import GateParams

__all__ = ["accept_decision", "check_refit", "compare", "decide", "reject_rolled_back", "reject_scarce"]


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
    ours, theirs = paired(challenger, champion)
    less = mean_interval(ours - theirs, blocks, confidence=confidence, ordered=ordered, folds=folds)
    return compared(ours, theirs, less)


def decide(
    scopes: Sequence[ScopeComparison],
    against_baseline: Comparison,
    skill: Interval,
    policy: GateParams,
    *,
    version: str,
    refit: RefitCheck,
    **facts: Any,
) -> GateJudged:
    """Judge whether the challenger is promoted.

    It is when there are rows and blocks enough, when in the newest fold or in the pool of all its interval
    over the champion lies below minus ``policy.min_improvement``, when its skill is significantly above 0
    (where labels are noise, a challenger on more rows overfits less and does beat the champion), and when
    the refit holds what the backtest found. The first model has no champion: it is promoted unless its refit
    fails or it is significantly worse than a constant prediction, and the sentence says what it is worth.

    Parameters
    ----------
    scopes
        The comparisons with the champion, the pool first; empty where no model is serving yet.
    against_baseline
        The comparison with a constant prediction.
    skill
        The challenger's `metric.skill` by blocks.
    version
        What is judged.
    refit
        The model that ships beside the newest fold's.
    facts
        Further fields of the record: ``promotion``, ``champion``, ``window`` and the like.
    """
    decisive = deciding(scopes, min_improvement=policy.min_improvement)
    shown = decisive or (scopes[0] if scopes else None)
    return _judged(
        _outcome(scopes, decisive, against_baseline, skill, refit, policy),
        policy,
        version=version,
        comparison=shown.comparison if shown else None,
        scope=shown.scope if shown else None,
        scopes=tuple(scopes),
        baseline=against_baseline,
        skill=Skill(skill.mean, skill.low, skill.high),
        refit=refit,
        **facts,
    )


def reject_scarce(policy: GateParams, *, version: str, rows: int, blocks: int, **facts: Any) -> GateJudged:
    """Reject a challenger for which too few rows are new to the champion.

    Parameters
    ----------
    rows, blocks
        How many there are.
    """
    return _judged("too_few_rows", policy, version=version, fresh_rows=rows, fresh_blocks=blocks, **facts)


def check_refit(
    losses: ArrayLike,
    out_of_fold: ArrayLike,
    blocks: ArrayLike,
    *,
    unpredicted: int,
    confidence: float,
    ordered: bool,
) -> RefitCheck:
    """Compare the model that ships with the newest fold's, on the newest fold's rows.

    It was fitted on these rows, so its loss is lower unless the refit went wrong: at most the upper bound of
    the out-of-fold loss.

    Parameters
    ----------
    losses, out_of_fold
        Shape (n_rows,): the refit's loss of each row, NaN where it predicted none; the newest fold's.
    unpredicted
        Rows for which the refit predicted no finite number.
    """
    limit = mean_interval(out_of_fold, blocks, confidence=confidence, ordered=ordered).high
    values = np.asarray(losses, float)
    return RefitCheck(
        rows=values.size,
        loss=float(values.mean()) if not unpredicted else None,
        limit=limit,
        unpredicted=unpredicted,
    )


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


def accept_decision(
    policy: GateParams, *, version: str, rows: int, changed_rows: int, **facts: Any
) -> GateJudged:
    """Promote the champion's own model with another decision rule, which a person set.

    Costs are no matter of statistics: the scores are the champion's, and there is nothing to compare.

    Parameters
    ----------
    rows, changed_rows
        Held-out rows, and those of them that get another label.
    facts
        ``decision`` and ``champion_decision`` in words, and further fields of the record.
    """
    counts = {"fresh_rows": rows, "changed_rows": changed_rows}
    return _judged("decision_changed", policy, version=version, **counts, **facts)


def _outcome(
    scopes: Sequence[ScopeComparison],
    decisive: ScopeComparison | None,
    against_baseline: Comparison,
    skill: Interval,
    refit: RefitCheck,
    policy: GateParams,
) -> GateOutcome:
    if scopes:
        pool = scopes[0].comparison
        if pool.rows < policy.min_rows or pool.blocks < policy.min_blocks:
            return "too_few_rows"
        if decisive is None:
            return "not_significant"
        if skill.low <= 0:
            return "no_skill"
    elif against_baseline.low > 0:
        return "worse_than_baseline"
    if not refit.passed:
        return "refit_worse"
    return "better" if scopes else "first"


def _judged(outcome: GateOutcome, policy: GateParams, **facts: Any) -> GateJudged:
    return GateJudged(
        promote=outcome in ("first", "better", "decision_changed"),
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
