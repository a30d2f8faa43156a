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
from evidently import ColumnType, DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset

from mlops import feature_types
from mlops.errors import TooFewRowsError
from mlops.stats import statistics as registered
from mlops.stats.distance import distance_of, prepared
from mlops.stats.statistics import JENSEN_SHANNON, Statistic

__all__ = ["statistics", "write_report"]

_METHODS = {JENSEN_SHANNON.name: "jensenshannon"}
"""Evidently's own method of the same figure; any other statistic is registered with it as one of ours."""


def statistics(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]
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
    report = Report([ValueDrift(column=name, method=_method(of)) for name, of in _statistics(usable).items()])
    results = report.run(_dataset(new, usable), _dataset(old, usable)).dict()["metrics"]
    values = {result["config"]["column"]: float(result["value"]) for result in results}
    return {name: values[name] for name in usable if isfinite(values[name])}


def write_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Mapping[str, str],
    path: Path,
    *,
    values: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    sample: int = 5000,
    seed: int = 0,
) -> list[str]:
    """Write Evidently's drift report as one HTML file.

    Parameters
    ----------
    values, thresholds
        By column, the statistic that decided, of all rows, and what it had to exceed. The page shows them;
        without a value that of the rows that are drawn. One drifted column makes a drifted window.
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
        per_column_method={name: _registered(of, values or {}) for name, of in _statistics(usable).items()},
        per_column_threshold=dict(thresholds or {}),
        drift_share=0.5 / len(usable),
        include_tests=False,
    )
    html = Report([preset]).run(_dataset(new, usable), _dataset(old, usable)).get_html_str(as_iframe=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_noted(html, left_out), encoding="utf-8")
    return left_out


def _statistics(columns: Mapping[str, str]) -> dict[str, Statistic]:
    return {name: registered.of(feature_types.find(type)) for name, type in columns.items()}


def _method(statistic: Statistic) -> str:
    """Return Evidently's name of a statistic; what it does not have computes as it does here."""
    return _METHODS.get(statistic.name) or _registered(statistic, {})


def _registered(statistic: Statistic, values: Mapping[str, float]) -> str:
    """Register a statistic with Evidently as a method, and return its name.

    Parameters
    ----------
    values
        By column, what is known of it already and not measured again.
    """
    name = f"mlops {statistic.name}"

    def measured(
        reference: pd.Series, current: pd.Series, _: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        column = str(current.name)
        value = values[column] if column in values else distance_of(statistic, reference, current)
        return value, value > threshold

    column = ColumnType.Numerical if statistic.is_ordered else ColumnType.Categorical
    register_stattest(StatTest(name, statistic.title, [column]), default_impl=measured)
    return name


def _usable(old: pd.DataFrame, new: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, str]:
    """Leave out what Evidently raises on: a column without a value on one side."""
    filled = {name for name in columns if all(side[name].notna().any() for side in (old, new))}
    return {name: type for name, type in columns.items() if name in filled}


def _dataset(frame: pd.DataFrame, columns: Mapping[str, str]) -> Any:
    # Without a definition Evidently guesses, and fits a classifier to each column it calls text.
    definition = DataDefinition(
        numerical_columns=[name for name, of in _statistics(columns).items() if of.is_ordered],
        categorical_columns=[name for name, of in _statistics(columns).items() if not of.is_ordered],
    )
    return Dataset.from_pandas(frame[list(columns)], data_definition=definition)


def _noted(html: str, left_out: Sequence[str]) -> str:
    """Say at the top of the page which columns it does not show."""
    if not left_out:
        return html
    note = f"<p>Left out, for want of values on one side: {escape(', '.join(left_out))}.</p>"
    return re.sub(r"<body[^>]*>", lambda body: body[0] + note, html, count=1)
