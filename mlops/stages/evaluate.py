"""Stage `evaluate`: the bundle measured on the held-out rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops.config.paths import (
    BUNDLE,
    HOLDOUT,
    METRICS,
    PLOTS,
)
from mlops.model import bundle
from mlops.model.bundle import to_json
from mlops.stages.io import read_rows, write
from mlops.tables.conform import columns_of
from mlops.task_types.predictions import constant

if TYPE_CHECKING:
    pass

__all__ = ["evaluate"]


def evaluate(root: Path) -> None:
    """Measure the bundle on the held-out rows."""
    from mlops.evaluation import metrics, plots
    from mlops.model import predictor

    opened = bundle.open(root / BUNDLE)
    schema, info = opened.schema, opened.model
    rows, _ = read_rows(root / HOLDOUT, schema)
    labels, columns = rows[schema.target].tolist(), columns_of(rows, schema)
    model = predictor.load(opened)
    predictions = model.predict(columns)
    baseline = constant(info.prior, info.classes, len(rows))
    seed = opened.lineage["params"]["model"]["seed"]
    figures = {
        "holdout": metrics.report(info.task, labels, predictions, info.classes),
        "baseline": metrics.report(info.task, labels, baseline, info.classes),
        "rows": {"train": opened.lineage["train"]["rows"], "holdout": len(rows)},
        "compiled": info.compiled,
    }
    write(root / METRICS, to_json(figures))
    tables = {
        "roc": plots.roc(labels, predictions, info.classes),
        "calibration": plots.calibration(labels, predictions, info.classes),
        "confusion": plots.confusion(labels, predictions, info.classes),
        "residuals": plots.residuals(labels, predictions, info.classes),
        "importances": plots.importances(
            model, columns, labels, schema=schema, classes=info.classes, seed=seed
        ),
    }
    for name, table in tables.items():
        write(root / PLOTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
