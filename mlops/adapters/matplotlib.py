"""Charts: of the evaluation's plot tables, PNG for MLflow's UI; of a replay, PNG or SVG.

Uses Figure without pyplot: no state between calls and no display needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlops.replay.played import Replayed

__all__ = ["draw", "draw_replay"]

_DPI = 110
_MOST_LABELS = 12
_MOST_FEATURES = 30
_MAX_NAME = 30  # characters of a feature's name
_MARKERS, _LINES = "osD^vPX*", ("-", "--", "-.", ":")
"""Policies that never differ lie on one line: told apart by more than the colour."""


def draw(tables: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a PNG for each table that has rows and a known name, by file name.

    Parameters
    ----------
    tables
        CSV by file name, as the stage `evaluate` writes them: ``roc.csv`` becomes ``roc.png``.
    """
    images = {}
    for file, content in tables.items():
        name = file.removesuffix(".csv")
        if name in _CHARTS and len(table := pd.read_csv(BytesIO(content))):
            images[f"{name}.png"] = _png(_CHARTS[name], table)
    return images


def draw_replay(result: Replayed, format: str) -> bytes:
    """Return a chart of a replay: the loss of what served over time, and against the number of trainings.

    Parameters
    ----------
    format
        ``png`` or ``svg``.
    """
    figure = Figure(figsize=(11, 4.8), dpi=_DPI)
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.14, top=0.92, wspace=0.2)
    over_time, by_trainings = figure.subplots(1, 2, width_ratios=[2, 1])
    for number, played in enumerate(result.policies):
        marker, style = _MARKERS[number % len(_MARKERS)], _LINES[number % len(_LINES)]
        known = [step for step in played.steps if step.loss is not None]
        ends, losses = [step.end for step in known], [step.loss for step in known]
        (line,) = over_time.plot(
            ends, losses, marker=marker, markersize=4, linestyle=style, label=played.title
        )
        if played.loss is not None:
            by_trainings.scatter(
                [played.trainings], [played.loss], color=line.get_color(), marker=marker, s=60, alpha=0.8
            )
    title = result.metric.replace("_", " ")
    over_time.set(title="Loss of what served", xlabel="event time", ylabel=title)
    over_time.tick_params(axis="x", labelrotation=20)
    over_time.legend()
    by_trainings.set(title="Loss and trainings", xlabel="trainings", ylabel=f"mean {title}")
    by_trainings.margins(0.1)
    by_trainings.xaxis.get_major_locator().set_params(integer=True)
    buffer = BytesIO()
    # Without a date, and with ids that are not drawn by lot: the same replay gives the same bytes.
    with rc_context({"svg.hashsalt": "replay"}):
        figure.savefig(buffer, format=format, metadata={"Date": None} if format == "svg" else None)
    return buffer.getvalue()


def _png(chart: Callable[[Axes, pd.DataFrame], None], table: pd.DataFrame) -> bytes:
    # Fixed margins: matplotlib would draw everything twice to compute them.
    figure = Figure(figsize=(6.4, 4.8), dpi=_DPI)
    figure.subplots_adjust(left=0.14, right=0.97, bottom=0.12, top=0.92)
    chart(figure.subplots(), table)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _roc(axes: Axes, table: pd.DataFrame) -> None:
    false, true = table["false_positive_rate"], table["true_positive_rate"]
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="constant prediction")
    axes.plot(false, true, label=f"AUC {np.trapezoid(true, false):.3f}")
    axes.set(title="ROC on the holdout", xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right")


def _calibration(axes: Axes, table: pd.DataFrame) -> None:
    ends = [table[["predicted", "observed"]].min().min(), table[["predicted", "observed"]].max().max()]
    axes.plot(ends, ends, color="0.7", linestyle="--", label="perfect calibration")
    axes.plot(table["predicted"], table["observed"], marker="o", label="deciles of the holdout")
    axes.set(title="Calibration on the holdout", xlabel="mean predicted", ylabel="mean observed")
    axes.legend(loc="upper left")


def _confusion(axes: Axes, table: pd.DataFrame) -> None:
    table = pd.crosstab(table["actual"], table["predicted"])
    labels = sorted({*table.index, *table.columns}, key=str)
    counts = table.reindex(index=labels, columns=labels, fill_value=0).to_numpy()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= _MOST_LABELS:
        for (row, column), share in np.ndenumerate(shares):
            text, colour = f"{counts[row, column]:,}\n{share:.0%}", "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    places = range(len(labels))
    axes.set_xticks(places, [str(label) for label in labels])
    axes.set_yticks(places, [str(label) for label in labels])
    axes.set(title="Confusion matrix on the holdout, by actual label", xlabel="predicted", ylabel="actual")


def _importances(axes: Axes, table: pd.DataFrame) -> None:
    top = table.head(_MOST_FEATURES)[::-1]
    names = top["feature"].astype(str).str.slice(0, _MAX_NAME)
    axes.barh(range(len(top)), top["importance"])
    axes.set_yticks(range(len(top)), list(names))
    axes.figure.subplots_adjust(left=0.05 + 0.013 * names.str.len().max())
    axes.set(title="Permutation importance", xlabel="increase in loss")


def _residuals(axes: Axes, table: pd.DataFrame) -> None:
    axes.axhline(0, color="0.7", linestyle="--")
    axes.scatter(table["predicted"], table["residual"], s=8, alpha=0.4)
    axes.set(title="Residuals on the holdout", xlabel="predicted", ylabel="actual minus predicted")


_CHARTS: dict[str, Callable[[Axes, pd.DataFrame], None]] = {
    "roc": _roc,
    "calibration": _calibration,
    "confusion": _confusion,
    "importances": _importances,
    "residuals": _residuals,
}
