"""Evidently: each column's drift statistic, and the report a person reads.

What decides is computed once per column. The full report draws every figure and takes seconds
however few the rows, so it is written apart from the decision, on a sample.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset

from mlops.errors import TooFewRowsError
from mlops.schema import Kind
from mlops.stats.distance import prepared

__all__ = ["statistics", "write_report"]

_METHODS: Mapping[Kind, str] = {
    "number": "wasserstein",
    "category": "jensenshannon",
    "boolean": "jensenshannon",
    "text": "wasserstein",
}


def statistics(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, Kind]
) -> dict[str, float]:
    """Measure each column's drift once.

    Parameters
    ----------
    reference, current
        Hold `columns`; nulls allowed, infinities count as missing.

    Returns
    -------
    dict
        By column, finite. A column without a single value on one side is left out: Evidently
        raises on it.
    """
    old, new = prepared(reference, columns), prepared(current, columns)
    usable = _usable(old, new, columns)
    if not usable:
        return {}
    report = Report([ValueDrift(column=name, method=_METHODS[kind]) for name, kind in usable.items()])
    results = report.run(_dataset(new, usable), _dataset(old, usable)).dict()["metrics"]
    values = {result["config"]["column"]: float(result["value"]) for result in results}
    return {name: values[name] for name in usable if isfinite(values[name])}


def write_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Mapping[str, Kind],
    path: Path,
    *,
    thresholds: Mapping[str, float] | None = None,
    share: float = 0.5,
    sample: int = 5000,
    seed: int = 0,
) -> list[str]:
    """Write Evidently's drift report as one HTML file.

    Parameters
    ----------
    thresholds
        By column, from which value the page calls it drift; Evidently's own where none is given.
    share
        Of the columns: from how many the page says that the whole drifted.
    sample
        Rows of each side that are drawn at most.

    Returns
    -------
    list
        Columns left out, because one side has no value; the file names them too.

    Raises
    ------
    TooFewRowsError
        No column has values on both sides.
    """
    old, new = (
        prepared(side.sample(min(sample, len(side)), random_state=seed).sort_index(), columns)
        for side in (reference, current)
    )
    usable = _usable(old, new, columns)
    left_out = [name for name in columns if name not in usable]
    if not usable:
        raise TooFewRowsError("No column has values to draw a report of.", remedy="Widen monitor.window.")
    preset = DataDriftPreset(
        columns=list(usable),
        num_method=_METHODS["number"],
        cat_method=_METHODS["category"],
        per_column_threshold=dict(thresholds or {}),
        drift_share=share,
        include_tests=False,
    )
    html = Report([preset]).run(_dataset(new, usable), _dataset(old, usable)).get_html_str(as_iframe=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_noted(html, left_out), encoding="utf-8")
    return left_out


def _usable(old: pd.DataFrame, new: pd.DataFrame, columns: Mapping[str, Kind]) -> dict[str, Kind]:
    """Leave out what Evidently raises on: a column without a value on one side."""
    filled = {name for name in columns if all(side[name].notna().any() for side in (old, new))}
    return {name: kind for name, kind in columns.items() if name in filled}


def _dataset(frame: pd.DataFrame, columns: Mapping[str, Kind]) -> Any:
    # Without a definition Evidently guesses, and fits a classifier to each column it calls text.
    definition = DataDefinition(
        numerical_columns=[name for name, kind in columns.items() if _METHODS[kind] == "wasserstein"],
        categorical_columns=[name for name, kind in columns.items() if _METHODS[kind] != "wasserstein"],
    )
    return Dataset.from_pandas(frame[list(columns)], data_definition=definition)


def _noted(html: str, left_out: Sequence[str]) -> str:
    """Say at the top of the page which columns it does not show."""
    if not left_out:
        return html
    note = f"<p>Left out, for want of values on one side: {escape(', '.join(left_out))}.</p>"
    return re.sub(r"<body[^>]*>", lambda body: body[0] + note, html, count=1)
