"""Reading one column of a table: what every feature type does alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.errors import UnusableValueError
from mlops.feature_types.cells import plain, spelled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["filled", "read_text", "refuse"]


def filled(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column that holds no words, with text of nothing but spaces as missing."""
    if not (column.dtype == object or column.dtype.name in ("string", "str")):
        return column
    blank = column.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)
    return column.mask(blank, None) if blank.any() else column


def refuse(column: pd.Series[Any], wrong: Any, allowed: str) -> None:
    """Raise for the values that a mask marks; the first of them is named.

    Raises
    ------
    UnusableValueError
        The mask marks a value.
    """
    import numpy as np

    if not wrong.any():
        return
    position = int(np.argmax(np.asarray(wrong)))
    value = plain(column.iloc[position])
    raise UnusableValueError(
        f"{column.name} holds {value!r} in row {column.index[position]}, which is not {allowed}.",
        wrong=np.asarray(wrong, dtype=bool),
        allowed=allowed,
        remedy="Correct the table, or what params.yaml says of the column.",
    )


def read_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of names or words as str, "" where missing.

    Raises
    ------
    UnusableValueError
        It has booleans or times, which are no text.
    """
    import pandas as pd

    dtype = pd.api.types.infer_dtype(column, skipna=True)
    if dtype in ("boolean", "datetime64", "datetime"):
        refuse(column, column.notna(), "text")
    text = column.astype("object")
    if dtype not in ("string", "empty"):
        # Not by `map`, which would widen a number of 32 bits: 0.1 to 0.10000000149011612.
        text = pd.Series(list(map(spelled, column.to_numpy())), index=column.index, dtype=object)
    return text.where(column.notna(), "")
