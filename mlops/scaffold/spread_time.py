"""A row's time where a table spreads it over columns: year, month, day, hour."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops.column_formats import ComposedFormat
from mlops.errors import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpreadTime", "spread_time"]

_PARTS = {
    "year": r"years?|yr|yyyy",
    "month": r"months?|mon|mnth|mo|mm",
    "day": r"days?|dd|dom|mday|day_?of_?month",
    "hour": r"hours?|hr|hh",
    "minute": r"minutes?|min",
    "second": r"seconds?|sec",
}
_NAME = re.compile(
    r"(?P<prefix>.*?)[_\s.-]*(?:" + "|".join(f"(?P<{part}>{name})" for part, name in _PARTS.items()) + ")",
    re.IGNORECASE,
)
_DAY = ("year", "month", "day")
_OTHER_TIME = re.compile(r"birth|dob|due|deadline|expir|exp$|until|end|model|built|start", re.IGNORECASE)
"""Columns of such a name are of no row's own time."""
_NAMES = ("time", "event_time", "row_time")


@dataclass(frozen=True)
class SpreadTime:
    """Columns that together are a row's time.

    Parameters
    ----------
    name
        What the column of the moments is called.
    format
        How it is made; None where that is not certain.
    sentence
        What they are taken for, for a person.
    """

    name: str
    format: ComposedFormat | None
    sentence: str


def spread_time(sample: pd.DataFrame, *, without: Collection[str] = ()) -> SpreadTime | None:
    """Return which columns of a table together are the time of its rows; None where none look so.

    Parameters
    ----------
    sample
        Rows from all of the table.
    without
        Columns that are something else.
    """
    groups = _groups([str(name) for name in sample if name not in without])
    whole = [group for group in groups if set(_DAY) <= set(group)]
    name = next(name for name in _NAMES if name not in sample)
    if len(whole) == 1:
        columns = [column for part in _PARTS if (column := whole[0].get(part))]
        for count in range(len(columns), len(_DAY) - 1, -1):
            made = _made(sample, name, columns[:count], columns[count:])
            if made is not None:
                return made
    looking = next((group for group in groups if len(set(_DAY) & set(group)) > 1), None)
    if looking is None:
        return None
    columns = [looking[part] for part in _PARTS if part in looking]
    how = (
        f" To have one: --format '{name}={{columns: [{', '.join(columns)}]}}' --time {name}."
        if {"year", "month"} <= set(looking)
        else ""
    )
    without_time = "without an event time the holdout is drawn at random."
    what = f"{shown(columns, 6)} look like the time of a row, which is not read: {without_time}"
    return SpreadTime(name, None, f"{what}{how}")


def _groups(names: list[str]) -> list[Mapping[str, str]]:
    """Return columns that are named as parts of a time, by what stands before that."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match and not _OTHER_TIME.search(match["prefix"]):
            part = next(part for part in _PARTS if match[part])
            groups.setdefault(match["prefix"].lower(), {}).setdefault(part, name)
    return list(groups.values())


def _made(sample: pd.DataFrame, name: str, columns: list[str], left: list[str]) -> SpreadTime | None:
    """Return the time that columns make, if they make one in every row."""
    from pandas.api import types

    by_name = (
        types.infer_dtype(sample[columns[1]], skipna=True) == "string"
        and not sample[columns[1]].astype(str).str.strip().str.fullmatch(r"\d+(\.0)?").any()
    )
    pattern = " ".join(("%Y", "%b", "%d", "%H", "%M", "%S")[: len(columns)]) if by_name else ""
    format = ComposedFormat(tuple(columns), pattern)
    times = format.compose(sample)
    if not types.is_datetime64_any_dtype(times) or times.isna().any() or times.nunique() < 2:
        return None
    why = f" {shown(left)} is no part of it: its values are not those of a clock." if left else ""
    first = times.iloc[0].isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    sentence = f"{name}, made of {shown(columns, 6)}, as {first}, is the event time: windows of training and "
    return SpreadTime(name, format, f"{sentence}monitoring run on it.{why}")
