"""A row's hash: the same wherever and whenever it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["row_hashes", "with_labels"]


def row_hashes(frame: pd.DataFrame, schema: Schema, *, labelled: bool = False) -> NDArray[np.uint64]:
    """Return for each row a whole number below 2^64, of its key, or of its features without one.

    Parameters
    ----------
    labelled
        Of its label as well.
    """
    import pandas as pd

    named = frame[schema.key] if schema.key else frame[list(schema.features)]
    # pandas' hash of values: fixed by its own key, the same in every process.
    hashes = np.asarray(pd.util.hash_pandas_object(named, index=False), np.uint64)
    return with_labels(hashes, frame[schema.target]) if labelled else hashes


def with_labels(hashes: NDArray[np.uint64], labels: pd.Series[Any]) -> NDArray[np.uint64]:
    """Return what `row_hashes` gives for labelled rows, of the hashes of their features."""
    import pandas as pd

    words: Any = labels.map(str).to_numpy(object)
    return hashes ^ np.asarray(pd.util.hash_array(words), np.uint64)
