"""The rows that the folds predicted, and the gate's verdict on what the recipe makes of them.

No file, no ledger and no registry: what trains and what replays a history give the same verdict here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops.evaluation import gate
from mlops.evaluation import metrics as metric
from mlops.evaluation.scopes import Scope, compare_scopes, scopes_of
from mlops.ledger.judgement import Comparison, GateJudged, RefitCheck, Window
from mlops.moments import after
from mlops.stats.blocks import blocks_of
from mlops.stats.interval import Interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mlops.config.params import GateParams
    from mlops.schema import Schema
    from mlops.task_types.predictions import Predictions
    from mlops.training.out_of_fold import OutOfFold

__all__ = ["JudgedRows", "check_refit", "judge_against", "judge_first"]

Losses = NDArray[np.float64]
"""A loss per row."""


@dataclass(frozen=True)
class JudgedRows:
    """The rows that the folds predicted, and what they predicted of them."""

    schema: Schema
    policy: GateParams
    rows: pd.DataFrame
    predicted: OutOfFold

    def take(self, chosen: NDArray[np.bool_]) -> JudgedRows:
        """Return the rows that a mask chooses."""
        return JudgedRows(self.schema, self.policy, self.rows[chosen], self.predicted.take(chosen))

    @property
    def newest(self) -> JudgedRows:
        """The rows of the newest fold."""
        return self.take(self.predicted.fold == self.predicted.fold.max())

    @cached_property
    def labels(self) -> Any:
        """The label of each row."""
        return self.rows[self.schema.target].to_numpy()

    @cached_property
    def blocks(self) -> NDArray[np.int64]:
        """The block of each row, see `mlops.stats.blocks.blocks_of`."""
        return blocks_of(self.rows, self.schema, self.policy.block)

    @property
    def folds(self) -> NDArray[np.int64] | None:
        """The fold of each row; None without a time column, where folds have no order."""
        return self.predicted.fold if self.ordered else None

    @property
    def ordered(self) -> bool:
        """Whether blocks are times, with neighbours."""
        return self.schema.time is not None

    @cached_property
    def losses(self) -> Losses:
        """The recipe's loss of each row, out of fold."""
        return np.asarray(self.predicted.losses(self.policy.metric, self.labels))

    @property
    def window(self) -> Window | None:
        """The event times of the rows; None without a time column."""
        time = self.schema.time
        if time is None or self.rows.empty:
            return None
        times = self.rows[time]
        return Window(times.min().to_pydatetime(), after(times.max().to_pydatetime()))

    def losses_of(self, predicted: Predictions, classes: Sequence[Any] | None) -> Losses:
        """Return another model's loss of each row, from its predictions of them."""
        decision = self.predicted.decision
        return np.asarray(metric.losses(self.policy.metric, self.labels, predicted, classes, decision))


def check_refit(newest: JudgedRows, predicted: Predictions, classes: Sequence[Any] | None) -> RefitCheck:
    """Check the model that ships on the rows of the newest fold.

    Parameters
    ----------
    newest
        The rows of that fold alone.
    predicted, classes
        What the model that ships predicts of them.
    """
    unpredicted = int((~predicted.finite()).sum())
    losses = np.full(len(newest.rows), np.nan) if unpredicted else newest.losses_of(predicted, classes)
    return gate.check_refit(
        losses,
        newest.losses,
        newest.blocks,
        unpredicted=unpredicted,
        confidence=newest.policy.confidence,
        ordered=newest.ordered,
    )


def judge_first(judged: JudgedRows, *, version: str, refit: RefitCheck) -> GateJudged:
    """Judge a challenger where no model is serving yet."""
    baseline, skill = _worth(judged)
    facts: dict[str, Any] = {"version": version, "window": judged.window}
    return gate.decide((), baseline, skill, judged.policy, refit=refit, **facts)


def judge_against(
    compared: JudgedRows, champion_losses: ArrayLike, *, refit: RefitCheck, **facts: Any
) -> GateJudged:
    """Judge a challenger on rows that are new to the champion.

    Parameters
    ----------
    compared
        Those rows.
    champion_losses
        Shape (n_rows,): the champion's of each.
    facts
        Further fields of the record: ``version``, ``promotion``, ``champion``, ``fitted_until`` and the like.
    """
    policy = compared.policy
    scopes = compare_scopes(
        compared.losses,
        champion_losses,
        compared.blocks,
        compared.folds,
        confidence=policy.confidence,
        ordered=compared.ordered,
        min_rows=policy.min_rows,
        min_blocks=policy.min_blocks,
    )
    baseline, skill = _worth(compared)
    return gate.decide(scopes, baseline, skill, policy, refit=refit, window=compared.window, **facts)


def _worth(judged: JudgedRows) -> tuple[Comparison, Interval]:
    """Return the comparison with a constant prediction, and the skill.

    Skill shows in the pool or in the newest fold, half of alpha each: after a change the older folds may have
    none, which is no fault of what the newest has learnt.
    """
    predicted, labels, policy = judged.predicted, judged.labels, judged.policy
    constant = predicted.baseline_losses(policy.metric, labels)
    blocks, folds, ordered = judged.blocks, judged.folds, judged.ordered
    baseline = gate.compare(
        judged.losses, constant, blocks, confidence=policy.confidence, ordered=ordered, folds=folds
    )
    skills = [_skill(judged, scope) for scope in scopes_of(blocks, folds, confidence=policy.confidence)]
    return baseline, max(skills, key=lambda skill: skill.low)


def _skill(judged: JudgedRows, scope: Scope) -> Interval:
    """Return the covariance of predictions and labels on the rows of a scope."""
    chosen = judged.take(scope.rows)
    predicted = chosen.predicted
    covariances = metric.skill(judged.schema.task, chosen.labels, predicted.predictions, predicted.classes)
    return mean_interval(
        covariances, chosen.blocks, confidence=scope.confidence, ordered=chosen.ordered, folds=chosen.folds
    )
