"""Stage `train`: the model fitted, compiled and written as a bundle."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.config.paths import (
    BUNDLE,
    HOLDOUT,
    LOCK,
    SEARCH,
    TRAIN,
    TRIALS,
)
from mlops.errors import ConfigError, StageError
from mlops.files import hashing
from mlops.files.parquet import to_bytes
from mlops.maintenance import packages
from mlops.model import bundle
from mlops.model.bundle import ModelInfo, to_json
from mlops.schema import Schema
from mlops.stages.io import read_params, read_rows, write
from mlops.tables.conform import columns_of, records
from mlops.tables.sampling import spaced
from mlops.task_types.predictions import Predictions, constant

if TYPE_CHECKING:
    import pandas as pd

    from mlops.model.custom import CustomModel
    from mlops.model.predictor import Predictor
    from mlops.training.fit import Builder, Fit

__all__ = ["train"]

_DECISIVE = (
    packages.DISTRIBUTION,
    *("joblib", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow"),
    *("scikit-learn", "scipy", "skl2onnx", "skops", "threadpoolctl"),
)
"""Packages whose version may decide what a model predicts, from the rows' reading to its compilation."""


_GOLDEN = 20


_REFERENCE = 20_000


_PARITY = 10_000


def train(root: Path, *, journals: Path | None = None) -> None:
    """Choose the parameters where a search is asked for, fit the model and write its bundle.

    Parameters
    ----------
    journals
        Where a search that was killed left its trials; below `root` by default.
    """
    from mlops.model.trials import to_csv
    from mlops.stages.tuning import chosen, journal_of, tune
    from mlops.training.fit import fit, load_builder

    params = read_params(root)
    schema = Schema.from_params(params)
    train_rows, train_facts = read_rows(root / TRAIN, schema)
    holdout_rows, holdout_facts = read_rows(root / HOLDOUT, schema)
    packages.check_pinned(params.model.packages, root / LOCK)
    source = _builder(root, params)
    build = load_builder(source, params.model.builder)
    inputs = [
        hashing.of_file(root / TRAIN),
        hashing.of_file(root / LOCK),
        hashing.of_bytes(source),
    ]
    journal = journal_of(journals or root / SEARCH, params, inputs)
    trials = tune(train_rows, schema, build, params, journal=journal)
    picked = chosen(params, schema, trials)
    model_params = picked["params"] if picked else params.model.params
    done = fit(train_rows, schema, build, model_params, seed=params.model.seed)
    info, predictor, model = _compiled(done, build, params, schema, train_rows, holdout_rows)

    def predict(rows: pd.DataFrame) -> Predictions:
        return predictor.predict(columns_of(rows, schema))

    golden = holdout_rows.iloc[spaced(len(holdout_rows), most=_GOLDEN)]
    reference = train_rows.iloc[spaced(len(train_rows), most=_REFERENCE)]
    predictions = predict(holdout_rows)
    files = {
        **model,
        "module.py": source,
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json(_golden(golden, predict(golden), schema)),
        "reference.parquet": to_bytes(_watched(reference, *schema.features, schema=schema)),
        "predictions.parquet": _predicted(holdout_rows, predictions, schema),
        "reference.json": to_json(_losses(holdout_rows, schema, info, predictions)),
        "lineage.json": to_json(
            _lineage(root, params, source, train_facts, holdout_facts)
            | ({"search": picked} if picked else {})
        ),
    }
    bundle.write(root / BUNDLE, files)
    write(root / TRIALS, to_csv(trials))
    journal.remove()


def _builder(root: Path, params: Params) -> bytes:
    path = root / params.model.builder
    if not path.is_file():
        raise ConfigError("model.builder", value=params.model.builder, allowed="a file of the project")
    return path.read_bytes()


def _compiled(
    done: Fit,
    build: Builder,
    params: Params,
    schema: Schema,
    fitted: pd.DataFrame,
    holdout: pd.DataFrame,
) -> tuple[ModelInfo, Predictor, Mapping[str, bytes]]:
    """Return the description of a fitted model, its predictor, and its files for the bundle."""
    from mlops.model.custom import CustomModel
    from mlops.model.predictor import Compiled, uncompiled

    if isinstance(build, CustomModel):
        info = _info(done, params, schema, fitted, "its own module predicts", custom=True)
        saved, read = _saved(done, build)
        return info, uncompiled(read, schema, done.classes, build), {"model.custom": saved}
    from mlops.adapters import onnx, skops

    compared = columns_of(holdout.iloc[spaced(len(holdout), most=_PARITY)], schema)
    compilation = onnx.compile(done.estimator, schema, done.classes, compared)
    info = _info(done, params, schema, fitted, compilation.reason)
    model = {"model.skops": skops.dumps(done.estimator)}
    if compilation.model is None:
        return info, uncompiled(done.estimator, schema, done.classes, build), model
    return info, Compiled(compilation.model, done.classes), {**model, "model.onnx": compilation.model}


def _saved(done: Fit, custom: CustomModel) -> tuple[bytes, Any]:
    """Return a model's bytes, and the model that is read from them: the one that will predict."""
    remedy = "Correct the functions save and load in the module model.builder."
    try:
        saved = custom.save(done.estimator)
        if isinstance(saved, bytes):
            return saved, custom.load(saved)
    except Exception as exc:  # the module raises whatever it met
        cause = f"{type(exc).__name__}: {exc}"
        raise StageError(f"The model could not be saved and read: {cause}", remedy=remedy) from exc
    raise StageError(f"The function save returned {type(saved).__name__}, not bytes.", remedy=remedy)


def _info(
    done: Fit,
    params: Params,
    schema: Schema,
    rows: pd.DataFrame,
    why_not_compiled: str | None,
    *,
    custom: bool = False,
) -> ModelInfo:
    searched = ("optuna",) if params.model.search else ()
    return ModelInfo(
        task=schema.task,
        classes=done.classes,
        prior=done.prior,
        compiled=why_not_compiled is None,
        why_not_compiled=why_not_compiled,
        trusted=list(params.model.trusted),
        categories={
            name: sorted(rows[name].unique()) for name, type in schema.types.items() if type.has_vocabulary
        },
        versions={
            **packages.versions([*_DECISIVE, *searched, *params.model.packages]),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        },
        custom=custom,
        packages=list(params.model.packages),
    )


def _golden(rows: pd.DataFrame, predictions: Predictions, schema: Schema) -> dict[str, Any]:
    scores = predictions.scores or [None] * len(rows)
    pairs = zip(predictions.values, scores, strict=True)
    return {
        "rows": records(rows, schema),
        "predictions": [{"prediction": prediction, "score": score} for prediction, score in pairs],
    }


def _predicted(rows: pd.DataFrame, predictions: Predictions, schema: Schema) -> bytes:
    """The predictions that served ones are compared with, of rows that the model was not trained on either.

    Of what it was fitted on it is surer: beside that, the same data would have drifted.
    """
    predicted = _watched(rows, schema=schema).assign(prediction=schema.task_type.watched(predictions))
    return to_bytes(predicted.iloc[spaced(len(rows), most=_REFERENCE)])


def _watched(rows: pd.DataFrame, *names: str, schema: Schema) -> pd.DataFrame:
    return rows[list(dict.fromkeys([*names, *([schema.time] if schema.time else [])]))]


def _losses(rows: pd.DataFrame, schema: Schema, info: ModelInfo, predictions: Predictions) -> dict[str, Any]:
    from mlops.evaluation.metrics import mean_losses

    labels = rows[schema.target].tolist()
    baseline = constant(info.prior, info.classes, len(rows))
    return {
        "loss": mean_losses(info.task, labels, predictions, info.classes),
        "baseline": mean_losses(info.task, labels, baseline, info.classes),
        "rows": len(rows),
    }


def _lineage(
    root: Path, params: Params, source: bytes, train: dict[str, Any], holdout: dict[str, Any]
) -> dict[str, Any]:
    return {
        "data": train["data"],
        "unlabelled": train["unlabelled"],
        # Where tables come from, and what became of them before, says nothing of what was trained on.
        "params": params.model_dump(
            mode="json", include={"data", "model", "train"}, exclude={"data": {"source", "contract", "raw"}}
        ),
        "lock": hashing.of_file(root / LOCK),
        "module": hashing.of_bytes(source),
        "train": train["window"],
        "holdout": holdout["window"],
    }
