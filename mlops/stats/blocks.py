"""Blocks: rows of one day, or of one key, that rise and fall together."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.moments import to_times

if TYPE_CHECKING:
    from mlops.schema import Schema

__all__ = ["blocks_of"]


def blocks_of(frame: pd.DataFrame, schema: Schema, size: timedelta) -> NDArray[np.int64]:
    """Number the block that each row belongs to.

    Parameters
    ----------
    frame
        Holds the schema's time column, UTC, where it has one, else its key; without either,
        every row is a block, as is one whose key is missing.
    size
        Length of a block of time; blocks start at multiples of it since 1970.

    Returns
    -------
    numpy.ndarray
        Shape (n_rows,). Of blocks of time, neighbours have neighbouring numbers; the numbers of keys
        and of rows have no order.
    """
    if schema.time is not None:
        since = to_times(frame[schema.time]) - pd.Timestamp(0, tz="UTC")
        return np.asarray(since // pd.Timedelta(size), np.int64)
    if schema.key is not None and schema.key in frame:
        block = np.asarray(pd.factorize(frame[schema.key])[0], np.int64)
        alone = block < 0
        block[alone] = len(frame) + np.arange(alone.sum())
        return block
    return np.arange(len(frame), dtype=np.int64)
