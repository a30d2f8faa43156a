"""Validity: is a column broken, rather than drifted?

What is broken is for its owner to mend, and no model may learn from it. A statistic cannot
tell: a column in another unit, or half null, drifts like any other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlops import feature_types
from mlops.feature_types import NUMBER, FeatureType
from mlops.stats.distance import distances

__all__ = ["validate"]

_LEAST_JUMP = 0.05
"""The share of missing values that a column without any in the reference may come to have."""
_RESCALED = 1.5
"""From this factor on, a column that is the reference times a constant has changed its unit."""
_ALIKE = 0.1
"""A distance below this calls two distributions the same; Evidently's own default."""
_TENFOLD, _SIMILAR = 10.0, 0.5
"""From this factor on, a distance below this will do: no season multiplies a column by ten."""


def validate(reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, str]:
    """Find the columns that are broken rather than drifted.

    Returns
    -------
    dict
        By column, a note for its owner: it is missing, of the wrong type, suddenly full of
        nulls, or in another unit.
    """
    notes = {
        name: _broken(reference[name], current.get(name), feature_types.find(type))
        for name, type in columns.items()
    }
    return {name: note for name, note in notes.items() if note}


def _broken(reference: pd.Series, current: pd.Series | None, type: FeatureType) -> str:
    """Say what is wrong with a column, or nothing."""
    if current is None:
        return "the column is missing"
    if current.empty:
        return ""
    if note := _mistyped(current, type):
        return note
    old, new = (_values(side, type) for side in (reference, current))
    was, now = 1 - len(old) / len(reference), 1 - len(new) / len(current)
    # Twice as often and then some; of a column that was often missing anyway, half of the rest.
    if now > min(_LEAST_JUMP + 2 * was, (1 + was) / 2):
        return f"{now:.0%} of the values are missing; in the reference {was:.0%}"
    if old.empty or new.empty:
        return ""
    if not type.is_text:
        return _rescaled(old, new)
    return _foreign(old, new) if type.has_vocabulary else ""  # words are new each time


def _values(side: pd.Series, type: FeatureType) -> pd.Series:
    """Return the values that are there, as statistics want them."""
    if not type.is_text:
        return type.measured(side).dropna()
    words = type.measured(side) if type.has_vocabulary else side.fillna("")
    return words[words != ""]


def _mistyped(current: pd.Series, type: FeatureType) -> str:
    values = current.dropna()
    if type.is_text:
        wrong = values[~values.map(lambda value: isinstance(value, str))]
        return f"{wrong.iloc[0]!r} is no text" if len(wrong) else ""
    if pd.api.types.is_numeric_dtype(values):
        return ""
    wrong = values[~values.map(lambda value: isinstance(value, int | float | np.number | np.bool_))]
    return f"{wrong.iloc[0]!r} is no {type.name}" if len(wrong) else ""


def _foreign(old: pd.Series, new: pd.Series) -> str:
    new_values = float((~new.isin(old.unique())).mean())
    return f"{new_values:.0%} of the values never occur in the reference" if new_values > 0.5 else ""


def _rescaled(old: pd.Series, new: pd.Series) -> str:
    """Find a change of unit: values in another range, or the reference times a constant.

    What lies within a season's movement cannot be told from it: spring in degrees Celsius looks
    like winter in Fahrenheit. That is left to drift, and to the gate.
    """
    low, high = float(old.min()), float(old.max())
    wide = (high - low) / 2
    outside = float(((new < low - wide) | (new > high + wide)).mean())
    if high == low:
        return ""  # a constant has no scale to lose
    if outside > 0.5:
        return f"{outside:.0%} of the values lie far outside the reference's {low:g} to {high:g}"
    middle = float(old.median())
    factor = float(new.median()) / middle if middle else 1.0
    if factor <= 0 or 1 / _RESCALED < factor < _RESCALED:
        return ""
    distance = distances(old.to_frame("it"), (new / factor).to_frame("it"), {"it": NUMBER.name})["it"]
    alike = _ALIKE if 1 / _TENFOLD < factor < _TENFOLD else _SIMILAR
    return f"the values are the reference's times {factor:.3g}: another unit?" if distance < alike else ""
