"""Stage `evaluate`: the recipe measured on its out-of-fold predictions."""

from __future__ import annotations

from pathlib import Path

from mlops.config.paths import BACKTEST, BUNDLE, HOLDOUT, METRICS, PLOTS
from mlops.model import bundle
from mlops.model.bundle import to_json
from mlops.stages.backtest import read_backtest
from mlops.stages.io import read_rows, write

__all__ = ["evaluate"]


def evaluate(root: Path) -> None:
    """Measure what the folds predicted; the bundle says how many rows it was fitted on."""
    from mlops.evaluation import metrics, plots

    opened = bundle.open(root / BUNDLE)
    schema, info = opened.schema, opened.model
    rows, _ = read_rows(root / HOLDOUT, schema)
    labels, judged = rows[schema.target].tolist(), read_backtest(root / BACKTEST)
    predictions, classes = judged.predictions, judged.classes
    figures = {
        "holdout": metrics.report(info.task, labels, predictions, classes, info.decision),
        "baseline": metrics.report(info.task, labels, judged.baseline, classes, info.decision),
        "rows": {"train": opened.lineage["train"]["rows"], "holdout": len(rows)},
        "compiled": info.compiled,
    }
    write(root / METRICS, to_json(figures))
    tables = {
        "roc": plots.roc(info.task, labels, predictions, classes),
        "calibration": plots.calibration(info.task, labels, predictions, classes),
        "confusion": plots.confusion(info.task, labels, predictions),
        "residuals": plots.residuals(info.task, labels, predictions),
    }
    for name, table in tables.items():
        write(root / PLOTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
