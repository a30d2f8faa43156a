"""Rows that are equal in all that a model sees: kept on one side of a split, or spread evenly over both.

A row that is fitted and scored as well flatters the model. But where a few combinations of values make up
the table, whole combinations would be missing on one side: those are spread, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlops.tables.row_hashes import row_hashes, with_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["EqualRows"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 by the golden ratio: its multiples fill the circle evenly, however many are taken."""
_FEW = 10
"""Equal rows that stay together in a small table too, where they fit into a part."""


class EqualRows:
    """The groups of equal rows of a table: of one key, or without a key of the same features.

    Parameters
    ----------
    frame
        The rows, each with its label.
    """

    def __init__(self, frame: pd.DataFrame, schema: Schema) -> None:
        import pandas as pd

        self._labels = frame[schema.target]
        self.hashes = row_hashes(frame, schema)
        self._group, _ = pd.factorize(self.hashes)
        self._counts = np.bincount(self._group)
        self.sizes: NDArray[np.int64] = self._counts[self._group]
        """How many rows equal each row, itself among them; shape (n_rows,)."""

    def together(self, part: float) -> int:
        """Return the size up to which a group stays on one side, where a part has so many rows.

        A group of more than a hundredth of the table would by itself move the share of a part by a point.
        """
        return max(1, len(self.sizes) // 100, min(_FEW, int(part)))

    def places(self, together: int) -> NDArray[np.uint64]:
        """Return the place of each row on a circle of 2^64: the same for the rows of a group that stays.

        The rows of a larger group, label by label, lie evenly around the circle, and stay where they are
        as others are added.
        """
        places = self.hashes.copy()
        spread = self.sizes > together
        own, nth = self._in_label(spread)
        places[spread] = own + nth * _GOLDEN
        return places

    def numbers(self, count: int, together: int) -> NDArray[np.int64]:
        """Return the part of each row, of so many: one for a group that stays, in turn for a larger one's."""
        numbers = self.hashes % np.uint64(count)
        spread = self.sizes > together
        own, nth = self._in_label(spread)
        numbers[spread] = (own % np.uint64(count) + nth) % np.uint64(count)
        return numbers.astype(np.int64)

    def on_both_sides(self, chosen: NDArray[np.bool_]) -> tuple[int, int]:
        """Count the groups with rows that are chosen and rows that are not, and all rows of these groups."""
        counts = np.bincount(self._group, weights=chosen)
        parted = (counts > 0) & (counts < self._counts)
        return int(parted.sum()), int(self._counts[parted].sum())

    def _in_label(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return of some rows the hash of group and label, and how many of the same came before."""
        import pandas as pd

        if not rows.any():
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        # Rows of one group and one label are alike: whichever comes first, the same is chosen of them.
        own = with_labels(self.hashes[rows], self._labels[rows])
        nth = pd.Series(own).groupby(own).cumcount().to_numpy()
        return own, nth.astype(np.uint64)
