"""A row's hash: the same wherever and whenever it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["row_hashes"]


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
    if not labelled:
        return hashes
    labels: Any = frame[schema.target].map(str).to_numpy(object)
    return hashes ^ np.asarray(pd.util.hash_array(labels), np.uint64)
