"""Validity: is a column broken, rather than drifted?

Broken needs proof: the column is missing, of another type, suddenly full of nulls, or in another unit from
one day to the next. That is for its owner to mend, and no retraining starts by itself on it. Growth, a new
market and whatever else cannot be proven is drift: there a new model helps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops import feature_types
from mlops.feature_types import FeatureType
from mlops.monitoring.units import Readings, Stretch, best_stretch, factor_of, unit_change
from mlops.stats import statistics
from mlops.stats.blocks import blocks_of

if TYPE_CHECKING:
    from mlops.schema import Schema

__all__ = ["Blocks", "Finding", "validate"]

_LEAST_JUMP = 0.05
"""The share of missing values that a column without any in the reference may come to have."""
_MAJORITY = 0.5
"""The share of values the reference does not have that is worth a note."""


@dataclass(frozen=True)
class Finding:
    """What is striking about a column.

    Parameters
    ----------
    note
        For its owner.
    is_broken
        Whether that is proven; otherwise a note beside drift.
    is_accepted
        Whether it is broken, and ``monitor.accept`` names it: it counts as drifted.
    """

    note: str
    is_broken: bool = False
    is_accepted: bool = False


@dataclass(frozen=True)
class Blocks:
    """The block of each row of the reference and of the window, see `mlops.stats.blocks.blocks_of`.

    Parameters
    ----------
    name
        Names a block by its time; None where blocks have no order.
    earlier
        Reads what the model served before the window, and the block of each row.
    """

    reference: NDArray[np.int64]
    current: NDArray[np.int64]
    name: Callable[[int], str] | None
    earlier: Callable[[], tuple[pd.DataFrame, NDArray[np.int64]]] | None = None

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        current: pd.DataFrame,
        schema: Schema,
        size: timedelta,
        earlier: Callable[[], pd.DataFrame] | None,
    ) -> Blocks:
        """Return the blocks of this size; of earlier rows once they are asked for."""
        form = "%Y-%m-%d" if size >= timedelta(days=1) else "%Y-%m-%d %H:%M"

        def name(block: int) -> str:
            return f"{datetime.fromtimestamp(0, UTC) + block * size:{form}}"

        @cache
        def served_before() -> tuple[pd.DataFrame, NDArray[np.int64]]:
            assert earlier is not None
            rows = earlier()
            return rows, blocks_of(rows, schema, size)

        return cls(
            blocks_of(reference, schema, size),
            blocks_of(current, schema, size),
            name if schema.time is not None else None,
            served_before if earlier is not None else None,
        )


def validate(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Mapping[str, str],
    blocks: Blocks,
    *,
    accept: Collection[str] = (),
) -> dict[str, Finding]:
    """Find the columns that are broken rather than drifted, and those that drift would leave unexplained.

    Parameters
    ----------
    columns
        Names to feature types.
    accept
        Columns whose break is the new normal.

    Returns
    -------
    dict
        By column, of those about which something is to be said.
    """
    findings = {}
    for name, type in columns.items():
        finding = _finding(reference[name], current.get(name), feature_types.find(type), blocks)
        if finding is not None and finding.is_broken and name in accept:
            finding = Finding(f"{finding.note}; accepted by monitor.accept", is_accepted=True)
        if finding is not None:
            findings[name] = finding
    return findings


def _finding(
    reference: pd.Series, current: pd.Series | None, type: FeatureType, blocks: Blocks
) -> Finding | None:
    if current is None:
        return Finding("the column is missing", is_broken=True)
    if current.empty:
        return None
    if note := _mistyped(current, type):
        return Finding(note, is_broken=True)
    old, new = (_values(side, type) for side in (reference, current))
    was, now = (float(side.isna().mean()) for side in (old, new))
    if now > _most_missing(was):
        when = _missing_when(new.isna().to_numpy(), was, blocks)
        note = f"{now:.0%} of the values are missing{when}; in the reference {was:.0%}"
        return Finding(note, is_broken=True)
    if was == 1 or now == 1:
        return None
    if not type.is_text and statistics.of(type).is_ordered:
        return _measured(
            old.to_numpy(), new.to_numpy(), blocks, lambda: _earlier(str(reference.name), type, blocks)
        )
    note = _news(old.dropna(), new.dropna()) if type.has_vocabulary else ""  # words are new each time
    return Finding(note) if note else None


def _most_missing(was: float) -> float:
    # Twice as often and then some; of a column that was often missing anyway, half of the rest.
    return min(_LEAST_JUMP + 2 * was, (1 + was) / 2)


def _missing_when(missing: NDArray[np.bool_], was: float, blocks: Blocks) -> str:
    """Return the days on which values are missing, where on the others no more are than were."""
    if blocks.name is None:
        return ""
    inside = best_stretch(missing - (was + missing.mean()) / 2, blocks.current)
    if inside.all() or missing[~inside].mean() > _most_missing(was):
        return ""
    first, last = blocks.current[inside].min(), blocks.current[inside].max()
    starts, ends = first == blocks.current.min(), last == blocks.current.max()
    change = Stretch(None if starts else int(first), None if ends else int(last))
    return f" {_when(change, blocks)}"


def _values(side: pd.Series, type: FeatureType) -> pd.Series:
    """Return a column as statistics want it, with what is missing as null."""
    if not type.is_text:
        return type.measured(side)
    words = type.measured(side) if type.has_vocabulary else side.fillna("")
    return words.where(words != "")


def _mistyped(current: pd.Series, type: FeatureType) -> str:
    values = current.dropna()
    if type.is_text:
        wrong = values[~values.map(lambda value: isinstance(value, str))]
        return f"{wrong.iloc[0]!r} is no text" if len(wrong) else ""
    if pd.api.types.is_numeric_dtype(values):
        return ""
    wrong = values[~values.map(lambda value: isinstance(value, int | float | np.number | np.bool_))]
    return f"{wrong.iloc[0]!r} is no {type.name}" if len(wrong) else ""


def _news(old: pd.Series, new: pd.Series) -> str:
    share = float((~new.isin(old.unique())).mean())
    return f"{share:.0%} of the values never occur in the reference" if share > _MAJORITY else ""


def _earlier(name: str, type: FeatureType, blocks: Blocks) -> Readings | None:
    if blocks.earlier is None:
        return None
    rows, of_rows = blocks.earlier()
    if name not in rows:
        return None
    return Readings.of(type.measured(rows[name]).to_numpy(), of_rows, ordered=True)


def _measured(
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    blocks: Blocks,
    earlier: Callable[[], Readings | None],
) -> Finding | None:
    """Find a change of unit, or else say what looks like one."""
    ordered = blocks.name is not None
    before = Readings.of(old, blocks.reference, ordered=ordered)
    now = Readings.of(new, blocks.current, ordered=ordered)
    if change := unit_change(before, now, earlier):
        return Finding(f"{_when(change, blocks)} the values are {change.unit.title}", is_broken=True)
    if factor := factor_of(before, now):
        return Finding(f"the values are about the reference's times {factor:.3g}: perhaps another unit")
    low, high = before.quantiles[[0, -1]]
    outside = float(((now.values < 2 * low - high) | (now.values > 2 * high - low)).mean())
    if low < high and outside > _MAJORITY:
        return Finding(f"{outside:.0%} of the values lie far outside the reference's {low:g} to {high:g}")
    return None


def _when(change: Stretch, blocks: Blocks) -> str:
    name = blocks.name or str
    if change.first is None and change.last is None:
        return "throughout the window"
    if change.last is None:
        return f"from {name(change.first or 0)} on"
    return (
        f"until {name(change.last)}"
        if change.first is None
        else f"from {name(change.first)} to {name(change.last)}"
    )
