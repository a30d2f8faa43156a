"""How the accepted rate of false alarms is split over the watched columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

__all__ = ["split"]


def split(alpha: float, columns: Iterable[str], importances: Mapping[str, float]) -> dict[str, float]:
    """Split alpha over columns by what the model uses of them; the parts add up to it (Bonferroni).

    Half is split evenly, so that no column gets less than ``alpha / (2 * K)`` of K columns; half by
    importance. A column without an importance, as the prediction, gets an even share of that half, too.

    Parameters
    ----------
    importances
        By feature, the increase of the loss without it, see `mlops.evaluation.plots.importances`; at most 0
        is of no use. Evenly split where none is of use.

    Examples
    --------
    >>> split(0.04, ["size", "colour"], {"size": 0.3, "colour": 0.0})
    {'size': 0.03, 'colour': 0.01}
    """
    names = list(columns)
    used = {
        name: max(value, 0.0) if isfinite(value := importances[name]) else 0.0
        for name in names
        if name in importances
    }
    total = sum(used.values())
    even = alpha / len(names) if names else 0.0

    def part(name: str) -> float:
        if name not in used or total <= 0.0:
            return even
        return even / 2 + even * len(used) / 2 * used[name] / total

    return {name: part(name) for name in names}
