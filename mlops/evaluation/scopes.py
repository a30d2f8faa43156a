"""The rows that the gate may decide on: the newest fold, or the pool of all folds, half of alpha each.

A change inside the fresh rows divides them. In the newest fold the recipe has learnt the new regime, and its
rows show the gain whole; where nothing changed, the pool has more rows. Either may decide, and since both
have their chance, each takes half of the risk (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops.errors import DataError
from mlops.ledger.judgement import Comparison, ScopeComparison, ScopeName
from mlops.stats.interval import Interval, mean_interval

__all__ = ["Scope", "compare_scopes", "compared", "deciding", "paired", "scopes_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """Rows that may decide.

    Parameters
    ----------
    rows
        Shape (n_rows,): whether the row is one of them.
    confidence
        Of the scope's two-sided interval.
    """

    name: ScopeName
    rows: NDArray[np.bool_]
    confidence: float


def scopes_of(
    blocks: ArrayLike,
    folds: ArrayLike | None,
    *,
    confidence: float,
    min_rows: int = 1,
    min_blocks: int = 2,
) -> tuple[Scope, ...]:
    """Return the scopes of a comparison, the pool first.

    The newest fold is a scope if there is an older one, and if it has rows and blocks enough; else the pool
    takes all of alpha. Losses play no part: the choice costs nothing.

    Parameters
    ----------
    blocks
        Shape (n_rows,): see `mlops.stats.blocks.blocks_of`.
    folds
        Shape (n_rows,): the number of each row's fold, the newest the highest. None without a time.
    confidence
        Of the whole verdict, two-sided.
    min_rows, min_blocks
        What a scope needs.
    """
    block = np.asarray(blocks)
    everything = np.ones(block.shape, bool)
    if folds is None or not block.size:
        return (Scope("pool", everything, confidence),)
    fold = np.asarray(folds)
    newest = fold == fold.max()
    enough = newest.sum() >= min_rows and len(np.unique(block[newest])) >= min_blocks
    if newest.all() or not enough:
        return (Scope("pool", everything, confidence),)
    half = (1 + confidence) / 2
    return (Scope("pool", everything, half), Scope("newest_fold", newest, half))


def compare_scopes(
    challenger: ArrayLike,
    champion: ArrayLike,
    blocks: ArrayLike,
    folds: ArrayLike | None,
    *,
    confidence: float,
    ordered: bool,
    min_rows: int = 1,
    min_blocks: int = 2,
) -> tuple[ScopeComparison, ...]:
    """Compare two models by their losses on the same rows, scope by scope, the pool first.

    Parameters
    ----------
    challenger, champion
        Shape (n_rows,): a loss per row, in the metric's unit, in the same order of rows.
    blocks, folds, confidence, min_rows, min_blocks
        As in `scopes_of`.
    ordered
        Whether blocks are times, with neighbours.

    Raises
    ------
    TooFewRowsError
        No row at all. Widen the holdout.
    DataError
        The shapes differ, or a loss is not finite.
    """
    ours, theirs = paired(challenger, champion)
    block = np.asarray(blocks)
    fold = np.zeros(ours.shape, int) if folds is None else np.asarray(folds)
    if not ours.shape == block.shape == fold.shape:
        shapes = f"{ours.shape} losses, {block.shape} blocks and {fold.shape} folds"
        raise DataError(f"{shapes} do not belong together.")
    scopes = scopes_of(block, folds, confidence=confidence, min_rows=min_rows, min_blocks=min_blocks)
    return tuple(_of_scope(scope, ours, theirs, block, fold, ordered) for scope in scopes)


def paired(challenger: ArrayLike, champion: ArrayLike) -> tuple[Floats, Floats]:
    """Return two models' losses as arrays.

    Raises
    ------
    DataError
        They are not of the same rows.
    """
    ours, theirs = np.asarray(challenger, float), np.asarray(champion, float)
    if ours.shape != theirs.shape:
        raise DataError(
            f"The challenger has {ours.size:,} losses and the champion {theirs.size:,}.",
            remedy="Score both on the same rows.",
        )
    return ours, theirs


def compared(ours: Floats, theirs: Floats, less: Interval) -> Comparison:
    """Return the comparison of two models' losses, whose difference lies in an interval."""
    return Comparison(
        rows=less.rows,
        blocks=less.blocks,
        loss=float(ours.mean()),
        other_loss=float(theirs.mean()),
        difference=less.mean,
        low=less.low,
        high=less.high,
    )


def deciding(
    comparisons: Iterable[ScopeComparison], *, min_improvement: float = 0.0
) -> ScopeComparison | None:
    """Return the first comparison whose interval lies below minus `min_improvement`, if one does."""
    return next((one for one in comparisons if one.comparison.high < -min_improvement), None)


def _of_scope(
    scope: Scope,
    ours: Floats,
    theirs: Floats,
    blocks: NDArray[Any],
    folds: NDArray[Any],
    ordered: bool,
) -> ScopeComparison:
    ours, theirs = ours[scope.rows], theirs[scope.rows]
    interval = mean_interval(
        ours - theirs,
        blocks[scope.rows],
        confidence=scope.confidence,
        ordered=ordered,
        folds=folds[scope.rows],
    )
    comparison = compared(ours, theirs, interval)
    return ScopeComparison(scope.name, scope.confidence, interval.autocorrelation, comparison)
