"""Repeated values in a column that is read in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Repeats"]


class Repeats:
    """The values of one column so far, 8 bytes each."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def mark(self, column: pd.Series[Any]) -> NDArray[np.bool_]:
        """Mark the values that came before, in this piece or an earlier one; a missing one never did."""
        import pandas as pd

        if not len(column):
            return np.empty(0, dtype=bool)
        spelled = column.astype("object").map(str, na_action="ignore")
        hashes = pd.util.hash_array(
            spelled.where(spelled.notna(), "").to_numpy(dtype=object), categorize=False
        )
        again = pd.Series(hashes).duplicated().to_numpy()
        for run in self._runs:
            again = again | (run[np.searchsorted(run, hashes) % len(run)] == hashes)
        self._runs.append(np.unique(hashes))
        # Few sorted runs, each larger than the next: what a piece costs hardly grows with those before.
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]), kind="stable")]
        return np.asarray(again & spelled.notna().to_numpy())
