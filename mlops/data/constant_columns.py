"""Columns that were left out because they held one value, or none: whether they vary now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.feature_types.cells import spelled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ConstantColumns", "constants_of"]

_MOST = 3
"""Other values that are named."""


def constants_of(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the columns that hold one value at most, with that; None where there is none."""
    constants: dict[str, Any] = {}
    for name in sorted(names):
        if name in frame:
            values = _distinct(frame[name])
            if len(values) <= 1:
                constants[name] = next(iter(values), None)
    return constants


class ConstantColumns:
    """Watches a batch's constant columns, piece by piece.

    Parameters
    ----------
    constants
        The value that each column held in every row; None where it held none.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = {
            name: None if value is None else _plain(value) for name, value in constants.items()
        }
        self._others: dict[str, dict[str, int]] = {}
        self._rows = 0

    def take(self, frame: pd.DataFrame) -> None:
        """Count what differs in a piece; a column that is not there does not vary."""
        self._rows += len(frame)
        for name, constant in self._constants.items():
            if name not in frame:
                continue
            counts = _distinct(frame[name])
            missing = len(frame) - sum(counts.values())
            others = self._others.setdefault(name, {})
            for value, rows in counts.items():
                if value != constant:
                    others[value] = others.get(value, 0) + rows
            if constant is not None and missing:
                others[""] = others.get("", 0) + missing

    def notes(self) -> list[str]:
        """Return what varies now, and what to write, a sentence a column."""
        notes = []
        for name, others in self._others.items():
            if not others:
                continue
            constant = self._constants[name]
            before = "held no value" if constant is None else f"was {constant} in every row"
            rows = sum(others.values())
            ranked = sorted(others, key=lambda value: (-others[value], value))
            named = ", ".join(value or "missing" for value in ranked[:_MOST]) + (
                ", …" if len(ranked) > _MOST else ""
            )
            kind = "number" if all(_is_number(value) for value in ranked if value) else "category"
            notes.append(
                f"{name} {before} when the project began, and varies now: {named} in {rows:,} of "
                f"{self._rows:,} rows. To use it, write `{name}: {kind}` in data.features of params.yaml; "
                "to go on without, take it out of `constant` in contract.yaml"
            )
        return notes


def _distinct(column: pd.Series[Any]) -> dict[str, int]:
    """Return how often each value occurs, as text; a missing one, or none but spaces, is no value."""
    try:
        counts = column.value_counts()
    except TypeError:  # nested values
        counts = column.astype(str).value_counts()
    found: dict[str, int] = {}
    for value, rows in counts.items():
        text = _plain(value)
        if text:
            found[text] = found.get(text, 0) + int(rows)
    return found


def _plain(value: Any) -> str:
    """Return a value's text: of a number the same however it is written."""
    text = spelled(value).strip()
    return spelled(float(text)) if _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False
