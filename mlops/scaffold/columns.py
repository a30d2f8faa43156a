"""What one column of a table is: its type, and whether it had better be left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.errors import shown
from mlops.feature_types import BOOLEAN, CATEGORY, DATE, NUMBER, TEXT, FeatureType
from mlops.feature_types.spellings import BOOLEANS, NONE
from mlops.moments import to_times
from mlops.tables.sampling import MOMENT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ColumnProfile", "doubt", "is_id_name", "profile_column"]

_NEARLY_ALL = 0.95
"""The share of values that must be of one type; the contract quarantines the others."""
_UNIQUE = 0.98
"""From this share of distinct values on, a column of names or numbers identifies rows."""
_FEW_ROWS = 20
"""Fewer rows do not tell an id from a value that happens to differ."""
_AT_LEAST_HALF = 0.5
"""From this share of numbers, or of days, on, a column was probably meant to hold nothing else."""
_CODE = r"0\d+"
"""How a code is written that would lose its zeros as a number, as a postal code."""
_CODES = 0.01
"""From this share of them on, a column is one of codes."""
_FAR_AWAY = ", far away: as if missing when monitored"
_WORDS = 4.0
"""From so many words a value on, a column is text."""
_MANY = 50
"""More distinct values than that, of several words each, are no category."""
_ID = re.compile(r"(^|[_\s.-])(id|ids|key|uuid|guid|identifier|index|rowid|unnamed: 0)$", re.IGNORECASE)
_ID_TAIL = re.compile(r"[a-z](Id|ID|Key|Uuid|UUID)$")
_NUMBERED = re.compile(
    r"(^|[_\s.-])(number|num|no|nr|code)$|^(account|case|client|customer|employee|item|member|order|passenger"
    r"|patient|person|product|record|row|session|student|transaction|user)(id|number|no|nr)$",
    re.IGNORECASE,
)
_NUMBERED_TAIL = re.compile(r"[a-z](Number|Num|No|Nr|Code)$")
"""What numbers rows where hardly two whole numbers are the same, and may be a measure where some are."""


@dataclass(frozen=True)
class ColumnProfile:
    """What the values of a column are.

    Parameters
    ----------
    type
        None where it has none.
    note
        What a person should know of its values.
    drop
        Why it had better be left out; empty where it had not.
    unique
        Whether no two rows share a value.
    doubt
        What it may be after all: a category whose values look like numbers or days, a number that
        looks like an id. Empty where nothing speaks for that.
    is_written
        Whether the doubt is one of how all of the table's rows are written.
    """

    type: FeatureType | None
    note: str
    drop: str = ""
    unique: bool = False
    doubt: str = ""
    is_written: bool = False


def profile_column(column: pd.Series[Any], *, untyped: bool) -> ColumnProfile:
    """Infer a column's type from its values.

    Parameters
    ----------
    untyped
        Text may stand for numbers and booleans, as in a CSV.
    """
    from pandas.api import types

    known = column.dropna()
    if types.infer_dtype(known, skipna=True) == "string":
        known = known[known.str.strip() != ""]
        if untyped:
            known = _without_none(known)
    missing = 1 - len(known) / len(column)
    gaps = f", {missing:.1%} missing" if missing else ""
    if not len(known):
        return ColumnProfile(None, "", "it holds no value")
    try:
        distinct = int(known.nunique())
    except TypeError:
        return ColumnProfile(None, "", "its values are nested")
    unique = len(known) >= _FEW_ROWS and distinct >= _UNIQUE * len(known)
    type, note, odd = _type(known, distinct, untyped=untyped)
    if type is None:
        return ColumnProfile(None, "", note)
    note += gaps + (f", {odd:.1%} are none" if odd else "")
    if distinct == 1 and missing:
        # A ticked box. As a number it would be the same in all rows once a model fills in what is missing.
        share = f"{shown([known.iloc[0]])} in {1 - missing:.1%} of the rows, missing in the others"
        return ColumnProfile(CATEGORY if type is NUMBER else type, share)
    if distinct == 1:
        return ColumnProfile(type, note, f"it is {shown([known.iloc[0]])} in every row")
    is_id = unique and _is_id(known, type, str(column.name))
    drop = "an id: nearly every row has its own value" if is_id else ""
    doubts = doubt(known, untyped=untyped) if type is CATEGORY else ""
    if type is NUMBER and _FAR_AWAY in note:
        doubts = _far(known, str(column.name))
        note += f"; if missing, write missing: {doubts.partition('data.missing: ')[2]}"
    if unique and type is NUMBER and not is_id and _rises(known):
        doubts = "it rises from row to row, and hardly two rows share a value; exclude it if it is an id"
    return ColumnProfile(type, note, drop, unique=distinct == len(column), doubt=doubts)


def doubt(known: pd.Series[Any], *, untyped: bool) -> str:
    """Return what values read as categories may be instead, and how to have them read so; empty if nothing.

    Parameters
    ----------
    known
        None of them missing.
    untyped
        As for `profile_column`.
    """
    import pandas as pd

    spelled = known.astype(str)
    some = spelled.where(spelled.str.fullmatch(MOMENT))
    no_day = to_times(some).isna()
    if no_day.mean() <= 1 - _AT_LEAST_HALF and no_day.any():
        odd = shown([spelled[no_day].iloc[0]])
        return f"{no_day.mean():.1%} of its values, as {odd}, are not dates: correct them to have dates"
    none = pd.to_numeric(known, errors="coerce").isna()
    if untyped and none.mean() <= 1 - _AT_LEAST_HALF and none.any():
        odd = shown([spelled[none].iloc[0]])
        return f"{none.mean():.1%} of its values, as {odd}, are not numbers: correct them to have numbers"
    return ""


def is_id_name(name: str) -> bool:
    """Return whether a column's name is that of an id."""
    return bool(_ID.search(name) or _ID_TAIL.search(name))


def _without_none(known: pd.Series[Any]) -> pd.Series[Any]:
    """Leave out `NONE` where the other values are no words: it is missing there, when a CSV is read."""
    others = known[known != NONE]
    if len(others) in (0, len(known)):
        return known
    type, _, _ = _type(others, int(others.nunique()), untyped=True)
    return known if type is not None and type.is_text else others


def _type(known: pd.Series[Any], distinct: int, *, untyped: bool) -> tuple[FeatureType | None, str, float]:
    """Return the type of values none of which is missing, a note, and the share that is not of it."""
    import numpy as np
    import pandas as pd
    from pandas.api import types

    inferred = types.infer_dtype(known)
    texts = pd.Series(inferred == "string", index=known.index)
    if inferred in ("mixed", "mixed-integer", "categorical"):
        texts = known.map(lambda value: isinstance(value, str)).astype(bool)
    plain = known if untyped else known[~texts]
    # Few values first: to spell every one of a large column takes long.
    if (
        distinct <= len(BOOLEANS)
        and len(plain) == len(known)
        and plain.astype(str).isin(list(BOOLEANS)).all()
    ):
        return BOOLEAN, "true or false", 0.0
    if inferred in ("date", "datetime", "datetime64"):
        return DATE, f"{known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}", 0.0
    if inferred in ("timedelta", "timedelta64"):  # which would pass for numbers
        return None, "its values are of type Timedelta", 0.0
    if untyped and texts.all() and known.str.fullmatch(_CODE).mean() >= _CODES:
        return CATEGORY, f"{distinct:,} codes, some with zeros before them: {_examples(known)}", 0.0
    numbers = pd.to_numeric(plain, errors="coerce")
    finite = numbers[np.isfinite(numbers.astype(float))]
    if len(finite) >= _NEARLY_ALL * len(known):
        return NUMBER, _range(finite.to_numpy(float)), 1 - len(finite) / len(known)
    if not texts.all():
        odd = known[~texts].iloc[0].__class__.__name__
        if odd in ("list", "dict", "bytes", "ndarray", "time"):
            return None, f"its values are of type {odd}", 0.0
        return CATEGORY, f"{distinct:,} values of several types", 0.0
    moments = to_times(known.where(known.str.fullmatch(MOMENT)))
    if moments.notna().mean() >= _NEARLY_ALL:
        return DATE, f"{moments.min():%Y-%m-%d} to {moments.max():%Y-%m-%d}", float(moments.isna().mean())
    words = float(known.map(lambda value: len(value.split())).mean())
    if distinct > _MANY and words >= _WORDS:
        return TEXT, f"text, some {words:.0f} words each", 0.0
    return CATEGORY, f"{distinct:,} values: {_examples(known)}", 0.0


def _range(finite: NDArray[np.float64]) -> str:
    """Name the range of numbers, and beside it those that stand for something else."""
    from mlops.stats.sentinels import sentinels, without

    far = sentinels(finite)
    values = without(finite, far)
    values = values[values == values]
    note = f"{values.min():g} to {values.max():g}"
    if not far:
        return note
    names = shown([f"{value:.15g}" for value in far])
    return f"{note}, and {names}{_FAR_AWAY}"


def _far(known: pd.Series[Any], name: str) -> str:
    """Ask whether numbers far away that repeat stand for a missing value, and say how to write that."""
    import numpy as np
    import pandas as pd

    from mlops.stats.sentinels import sentinels

    numbers = pd.to_numeric(known, errors="coerce").to_numpy(float, na_value=np.nan)
    far = sentinels(numbers)
    names = [f"{value:.15g}" for value in far]
    shares = [
        f"{value} in {np.mean(numbers == number):.1%}" for value, number in zip(names, far, strict=True)
    ]
    return (
        f"it holds {shown(shares)} of the rows, far from its other values; if that stands for a missing "
        f"value, write data.missing: {{{name}: [{', '.join(names)}]}}"
    )


def _examples(known: pd.Series[Any]) -> str:
    return shown([str(value)[:20] for value in known.value_counts().index.tolist()], 3)


def _is_id(known: pd.Series[Any], type: FeatureType, name: str) -> bool:
    """Return whether a column is an id, not a measure: both may differ in each row."""
    import pandas as pd

    if type is CATEGORY:
        return True
    if type is not NUMBER:
        return False
    numbers = pd.to_numeric(known, errors="coerce").dropna()
    if not (numbers % 1 == 0).all():
        return False
    counted = float(numbers.max() - numbers.min()) < 1.05 * len(numbers)  # 1, 2, 3, …
    named = is_id_name(name) or _NUMBERED.search(name) or _NUMBERED_TAIL.search(name)
    return bool(named) or (counted and bool(numbers.is_monotonic_increasing))


def _rises(known: pd.Series[Any]) -> bool:
    import pandas as pd

    numbers = pd.to_numeric(known, errors="coerce").dropna()
    return bool((numbers % 1 == 0).all()) and bool(numbers.is_monotonic_increasing)
