"""How the rows that a search may see are parted for its trials."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from mlops.errors import EmptyWindowError
from mlops.schema import Schema
from mlops.training.equal_rows import EqualRows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["folds"]


def folds(
    frame: pd.DataFrame, schema: Schema, *, count: int, gap: timedelta
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Part the rows to fit `count` times into some to fit and newer ones to measure on.

    By event time the rows are cut into ``count + 1`` stretches of as many rows; each but the first
    is measured on once, and all rows before it, less the gap, are fitted. Without event time each
    row is measured on once, by a stable hash of its key (of its features without one), and the others are
    fitted; equal rows as in `mlops.training.plan.plan`.

    Raises
    ------
    EmptyWindowError
        A part would hold no row.
    """
    if schema.time is None:
        number = _drawn(frame, schema, count)
        parts = [(frame[number != fold], frame[number == fold]) for fold in range(count)]
    else:
        times = frame[schema.time]
        ordered = times.sort_values(ignore_index=True)
        cuts = [ordered.iloc[len(ordered) * cut // (count + 1)] for cut in range(1, count + 1)]
        ends = [*cuts[1:], None]
        parts = [
            (frame[times < cut - gap], frame[(times >= cut) & (True if end is None else times < end)])
            for cut, end in zip(cuts, ends, strict=True)
        ]
    if any(fitted.empty or measured.empty for fitted, measured in parts):
        raise EmptyWindowError(
            f"{len(frame)} rows to fit are too few, or lie too close in time, for {count} folds"
            + (f" with {gap.total_seconds() / 3600:g} h between." if schema.time else "."),
            remedy="Add rows, or lower model.search.folds or train.gap in params.yaml.",
        )
    return parts


def _drawn(frame: pd.DataFrame, schema: Schema, count: int) -> NDArray[np.int64]:
    """Return the fold that measures on each row; equal rows share one, unless a fold would be without any."""
    equal = EqualRows(frame, schema)
    numbers = equal.numbers(count, equal.together(len(frame) / count))
    return numbers if len(np.unique(numbers)) == count else equal.numbers(count, 1)
