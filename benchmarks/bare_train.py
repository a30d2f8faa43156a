"""What a person would write without a toolkit: fit, evaluate, plot, log to MLflow.

The yardstick of benchmarks/train.py. Reads the same lake, fits the same
estimator once a fold and once more on all rows, computes the same figures and tables, logs and registers
the model.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
    roc_curve,
)
from sklearn.pipeline import Pipeline

from mlops.config.project_folder import load_params
from mlops.schema import Schema

TRUSTED = [
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "numpy.dtype",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
]


def main(root: Path, uri: str) -> None:
    """Train once."""
    params = load_params(root / "params.yaml")
    schema = Schema.from_params(params)
    frame = pd.concat(pd.read_parquet(path) for path in sorted((root / "data" / "lake").rglob("*.parquet")))
    frame = frame[frame["late"].notna()].drop_duplicates("flight").sort_values(["time_hour", "flight"])
    times, rule = frame["time_hour"], params.train
    end = times.max()

    spec = importlib.util.spec_from_file_location("model", root / params.model.builder)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    features = list(schema.features)

    def fitted(rows: pd.DataFrame) -> Pipeline:
        model = module.build(params.model.params, schema)
        model.set_params(histgradientboostingclassifier__random_state=params.model.seed)
        return model.fit(rows[features], rows["late"].astype(bool))

    scored = []
    for fold in range(rule.folds):
        origin = end - rule.holdout + rule.holdout * fold / rule.folds
        last = fold == rule.folds - 1
        rows = frame[(times >= origin) & (last or (times < origin + rule.holdout / rule.folds))]
        before = (times < origin - rule.gap) & (times >= origin - rule.gap - rule.window)
        newest = fitted(frame[before])
        scored.append((rows, newest.predict_proba(rows[features])[:, 1]))
    train = frame[times >= end - rule.window]
    model = fitted(train)

    holdout, score = pd.concat([rows for rows, _ in scored]), np.concatenate([part for _, part in scored])
    labels = holdout["late"].astype(bool).to_numpy()
    metrics = {
        "log_loss": log_loss(labels, score),
        "brier": brier_score_loss(labels, score),
        "accuracy": accuracy_score(labels, score > 0.5),
        "roc_auc": roc_auc_score(labels, score),
        "average_precision": average_precision_score(labels, score),
    }
    sample = scored[-1][0][:2000]
    importances = permutation_importance(
        newest,
        sample[features],
        sample["late"].astype(bool),
        n_repeats=1,
        scoring="neg_log_loss",
        random_state=0,
    )
    tables = {
        "roc.csv": pd.DataFrame(np.transpose(roc_curve(labels, score)[:2])),
        "calibration.csv": pd.DataFrame(np.transpose(calibration_curve(labels, score, n_bins=10))),
        "confusion.csv": pd.DataFrame(confusion_matrix(labels, score > 0.5)),
        "importances.csv": pd.DataFrame({"feature": features, "loss": importances.importances_mean}),
    }

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("bare")
    with mlflow.start_run():
        mlflow.log_params(params.model.params | {"seed": params.model.seed})
        mlflow.log_metrics(metrics)
        for name, table in tables.items():
            mlflow.log_text(table.to_csv(index=False), f"plots/{name}")
        mlflow.log_input(mlflow.data.from_pandas(train[:100], name="flights"), context="training")
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(holdout[features][:5], score[:5]),
            pip_requirements=["scikit-learn"],
            skops_trusted_types=TRUSTED,
            registered_model_name="bare",
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
