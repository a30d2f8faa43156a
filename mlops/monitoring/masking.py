"""Sentinels of a reference and of a window, which count as missing where the two are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops import feature_types
from mlops.errors import shown
from mlops.stats import statistics
from mlops.stats.sentinels import sentinels

__all__ = ["Compared", "without_sentinels"]

_MOST = 0.5
"""Values that the reference lacks and a larger share of a window has are no sentinels: the window moved."""


@dataclass(frozen=True)
class Compared:
    """Two tables whose sentinels are missing values.

    Parameters
    ----------
    notes
        By column that has sentinels: which they are, and how many each table has.
    """

    reference: pd.DataFrame
    current: pd.DataFrame
    notes: Mapping[str, str]


def without_sentinels(reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]) -> Compared:
    """Return both tables with the sentinels of their columns of numbers missing.

    Parameters
    ----------
    columns
        Names to feature types; what `current` lacks is left out.
    """
    notes: dict[str, str] = {}
    changed: tuple[dict[str, pd.Series], dict[str, pd.Series]] = ({}, {})
    for name, type in columns.items():
        kind = feature_types.find(type)
        if kind.is_text or name not in current or not statistics.of(kind).is_ordered:
            continue
        sides = reference[name], current[name]
        old, new = (kind.measured(side).to_numpy() for side in sides)
        known = sentinels(old)
        arrived = [value for value in sentinels(new, old) if value not in known]
        if arrived and np.isin(new, arrived).sum() > _MOST * np.isfinite(new).sum():
            arrived = []
        if not (every := sorted({*known, *arrived})):
            continue
        for side, values, kept in zip(sides, (old, new), changed, strict=True):
            kept[name] = side.mask(np.isin(values, every))
        notes[name] = _note(every, old, new)
    if not notes:
        return Compared(reference, current, notes)
    return Compared(reference.assign(**changed[0]), current.assign(**changed[1]), notes)


def _note(every: list[float], old: np.ndarray, new: np.ndarray) -> str:
    names = shown([f"{value:.15g}" for value in every])
    was, now = (f"{np.isin(side, every).mean():.2%}" if side.size else "none" for side in (old, new))
    count = "counts" if len(every) == 1 else "count"
    return f"{names} {count} as missing: {was} of the reference, {now} of the window"
