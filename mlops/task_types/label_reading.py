"""Labels as a table holds them: one type each, however a file spelled them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops.errors import DataError, shown
from mlops.feature_types.cells import is_whole
from mlops.feature_types.column_reading import filled, refuse

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_labels"]

_LABELS: Mapping[str, type] = {"boolean": bool, "integer": int, "string": object, "empty": object}


def read_labels(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a target column with one type: plain labels or None.

    A label is a bool, an int or a str, the same however the file spelled it: 1.0 beside an
    empty cell is the label 1.

    Raises
    ------
    DataError
        Labels are fractions, or of several types.
    """
    import numpy as np
    import pandas as pd

    column = filled(column)
    known = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    dtype = pd.api.types.infer_dtype(values[known])
    if dtype in ("floating", "mixed-integer-float", "decimal"):
        wrong = known.copy()
        wrong[known] = [not is_whole(value) for value in values[known]]
        refuse(column, wrong, "a label: those are true and false, whole numbers or text")
    elif dtype not in _LABELS:
        types = sorted({type(value).__name__ for value in values[known]})
        raise DataError(
            f"{column.name} holds labels of the types {shown(types)}.",
            remedy="Spell each label the same way in every row: true and false, whole numbers or text.",
        )
    read = np.full(len(values), None, dtype=object)
    read[known] = values[known].astype(_LABELS.get(dtype, int)).astype(object)
    return pd.Series(read, index=column.index, name=column.name, dtype=object)
