"""The gate: does a challenger beat the champion on the same rows, surely enough to replace it?

Both are scored on identical rows and compared row by row. Rows of one block of time (a day)
rise and fall together, so whole blocks are resampled: resampling single rows would make the
interval several times too narrow and promote noise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mlops.errors import DataError
from mlops.stats.bootstrap import Interval, block_interval

if TYPE_CHECKING:
    from mlops.config.params import GateParams

__all__ = ["Comparison", "GateVerdict", "compare", "decide"]

_METRICS = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "zero_one": "error rate",
    "squared_error": "squared error",
    "absolute_error": "absolute error",
}


@dataclass(frozen=True)
class Comparison:
    """Two models' mean losses on the same rows.

    `difference` is the champion's less the challenger's: above 0, the challenger is better.
    `low` and `high` bound it.
    """

    rows: int
    blocks: int
    challenger: float
    champion: float
    difference: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a JSON value."""
        return asdict(self)


@dataclass(frozen=True)
class GateVerdict:
    """Whether the challenger replaces the champion, and why, in a sentence with the numbers."""

    promote: bool
    reason: str


def compare(
    challenger: ArrayLike,
    champion: ArrayLike,
    blocks: ArrayLike,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two models by their losses on the same rows.

    Parameters
    ----------
    challenger, champion
        Shape (n_rows,): a loss per row, in the metric's unit, in the same order of rows.
    blocks
        Shape (n_rows,): which rows are resampled together; see `blocks_of`.

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
    better = block_interval(theirs - ours, blocks, confidence=confidence, resamples=resamples, seed=seed)
    return Comparison(
        rows=better.rows,
        blocks=better.blocks,
        challenger=float(ours.mean()),
        champion=float(theirs.mean()),
        difference=better.mean,
        low=better.low,
        high=better.high,
    )


def decide(
    against_champion: Comparison | None, against_baseline: Comparison, skill: Interval, policy: GateParams
) -> GateVerdict:
    """Judge whether the challenger is promoted.

    It is when there are rows and blocks enough, its interval over the champion lies above
    ``policy.min_improvement``, and its skill surely above 0: where labels are noise, a
    challenger on more rows overfits less and does beat the champion. The first model has no
    champion: it is promoted, and the reason says what it is worth.

    Parameters
    ----------
    against_champion
        None where no model is serving yet.
    against_baseline
        The baseline, which always gives the same answer, in the champion's place.
    skill
        The challenger's `metric.skill` by blocks.
    """
    says = _Sentences(policy)
    if against_champion is None:
        return GateVerdict(True, says.first(against_baseline))
    if says.scarce(against_champion):
        return GateVerdict(False, says.too_few(against_champion))
    if against_champion.low <= policy.min_improvement:
        return GateVerdict(False, says.no_better(against_champion))
    if skill.low <= 0:
        return GateVerdict(False, says.no_skill(skill))
    return GateVerdict(True, f"Promoted: {says.told(against_champion, 'champion')}.")


@dataclass(frozen=True)
class _Sentences:
    policy: GateParams

    def scarce(self, seen: Comparison) -> bool:
        return seen.rows < self.policy.min_rows or seen.blocks < self.policy.min_blocks

    def first(self, seen: Comparison) -> str:
        worth = "" if seen.low > 0 else ", not surely better than a constant answer"
        few = ", on too few rows to trust the figures" if self.scarce(seen) else ""
        return f"Promoted as the first model{worth}{few}: {self.told(seen, 'constant baseline')}."

    def too_few(self, seen: Comparison) -> str:
        least = self.policy
        asked = f"gate.min_rows asks for {least.min_rows:,}, gate.min_blocks for {least.min_blocks}"
        return f"Refused: {self.extent(seen)} are too few to compare on; {asked}."

    def no_better(self, seen: Comparison) -> str:
        margin = self.policy.min_improvement
        want = f"by more than {_figure(margin)}" if margin else "better"
        return f"Refused, not surely {want}: {self.told(seen, 'champion')}."

    def no_skill(self, seen: Interval) -> str:
        return (
            f"Refused: its answers do not surely rise with the truth (covariance {seen.mean:.5f}, "
            f"{self.policy.confidence:.0%} interval {seen.low:.5f} to {seen.high:.5f}); "
            "there may be nothing to learn."
        )

    def told(self, seen: Comparison, rival: str) -> str:
        metric = _METRICS[self.policy.metric]
        by = f"{_figure(abs(seen.difference))} {'better' if seen.difference >= 0 else 'worse'}"
        return (
            f"{metric} {_figure(seen.challenger)} against the {rival}'s {_figure(seen.champion)} "
            f"on the same {self.extent(seen)}; {by} "
            f"({self.policy.confidence:.0%} interval {_figure(seen.low)} to {_figure(seen.high)})"
        )

    def extent(self, seen: Comparison) -> str:
        if seen.blocks == seen.rows:  # as without a time, where no rows belong together
            return _count(seen.rows, "row")
        unit = "day" if self.policy.block == timedelta(days=1) else "block"
        return f"{_count(seen.rows, 'row')} in {_count(seen.blocks, unit)}"


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
