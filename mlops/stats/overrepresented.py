"""Whether some rows of a table are chosen more often than chance would have it: an exact test a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cell", "overrepresented"]


@dataclass(frozen=True)
class Cell:
    """Rows that have something in common, and how many of them were chosen.

    Parameters
    ----------
    rows, chosen
        Of the cell.
    all_rows, all_chosen
        Of the table, these rows among them.
    """

    rows: int
    chosen: int
    all_rows: int
    all_chosen: int

    @property
    def lift(self) -> float:
        """How many times as often as elsewhere a row of the cell is chosen."""
        others, others_chosen = self.all_rows - self.rows, self.all_chosen - self.chosen
        if not self.rows or not others:
            return 1.0
        elsewhere = others_chosen / others
        return np.inf if not elsewhere else self.chosen / self.rows / elsewhere

    @property
    def log_chance(self) -> float:
        """The logarithm of the chance of so many, or more, were the chosen drawn from all rows alike.

        The upper tail of the hypergeometric distribution, which is Fisher's exact test of one side.
        """
        most = min(self.rows, self.all_chosen)
        drawn = np.arange(self.chosen, most + 1)
        terms = (
            _log_choose(self.rows, drawn)
            + _log_choose(self.all_rows - self.rows, self.all_chosen - drawn)
            - _log_choose(self.all_rows, np.array([self.all_chosen]))
        )
        return float(min(0.0, np.logaddexp.reduce(terms)))


def overrepresented(
    cells: Sequence[Cell], *, level: float, min_chosen: int, min_lift: float
) -> list[tuple[int, float]]:
    """Return which cells have more chosen rows than chance explains, the least likely first, with its log.

    Parameters
    ----------
    level
        The chance that any cell is returned where rows are chosen at random: Bonferroni's bound over all
        cells, however they overlap.
    min_chosen, min_lift
        What matters: so many rows chosen, so many times as often as elsewhere.
    """
    limit = np.log(level / max(1, len(cells)))
    candidates = [
        (number, cell.log_chance)
        for number, cell in enumerate(cells)
        if cell.chosen >= min_chosen and cell.lift >= min_lift
    ]
    return sorted((each for each in candidates if each[1] <= limit), key=lambda each: (each[1], each[0]))


def _log_choose(total: int, taken: NDArray[np.int64]) -> NDArray[np.float64]:
    from scipy.special import gammaln

    possible = (taken >= 0) & (taken <= total)
    inside = np.where(possible, taken, 0)
    logs = gammaln(total + 1) - gammaln(inside + 1) - gammaln(total - inside + 1)
    return np.where(possible, logs, -np.inf)
