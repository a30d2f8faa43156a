"""Stage `train`: the model that ships, fitted, compiled and written as a bundle."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.config.paths import (
    BACKTEST,
    BUNDLE,
    HOLDOUT,
    LOCK,
    TRAIN,
)
from mlops.errors import StageError
from mlops.files import hashing
from mlops.files.parquet import to_bytes
from mlops.maintenance import packages
from mlops.model import bundle
from mlops.model.bundle import ModelInfo, to_json
from mlops.monitoring.reference import Reference, reference_of
from mlops.schema import Schema
from mlops.stages.backtest import read_backtest, read_chosen, recipe
from mlops.stages.io import read_params, read_rows
from mlops.tables.conform import columns_of, records
from mlops.tables.row_hashes import row_hashes, with_labels
from mlops.tables.sampling import spaced
from mlops.task_types.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

    from mlops.model.custom import CustomModel
    from mlops.model.predictor import Predictor
    from mlops.training.fit import Builder, Fit
    from mlops.training.out_of_fold import OutOfFold, Recipe

__all__ = ["train", "trained_params"]

_DECISIVE = (
    packages.DISTRIBUTION,
    *("joblib", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow"),
    *("scikit-learn", "scipy", "skl2onnx", "skops", "threadpoolctl"),
)
"""Packages whose version may decide what a model predicts, from the rows' reading to its compilation."""


_GOLDEN = 20


_PARITY = 10_000


def train(root: Path) -> None:
    """Fit the recipe on all mature rows of the window, and write the bundle of the model that ships."""
    from mlops.training.fit import fit

    params = read_params(root)
    schema = Schema.from_params(params)
    train_rows, train_facts = read_rows(root / TRAIN, schema)
    holdout_rows, holdout_facts = read_rows(root / HOLDOUT, schema)
    packages.check_pinned(params.model.packages, root / LOCK)
    judged, out_of_fold = recipe(root, params), read_backtest(root / BACKTEST)
    build = judged.build()
    done = fit(train_rows, schema, build, judged.params, seed=judged.seed)
    info, predictor, model = _compiled(done, build, params, schema, train_rows, holdout_rows)
    golden = holdout_rows.iloc[spaced(len(holdout_rows), most=_GOLDEN)]
    reference = reference_of(train_rows, holdout_rows, out_of_fold, schema, params.train)
    files = {
        **model,
        "module.py": judged.source,
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json(_golden(golden, predictor.predict(columns_of(golden, schema)), schema)),
        "reference.parquet": to_bytes(reference.features),
        "predictions.parquet": to_bytes(reference.predictions),
        "reference.json": to_json(_at_training(reference)),
        "lineage.json": to_json(_lineage(root, params, judged, train_facts, holdout_facts)),
    }
    if schema.time is None:
        files["rows.parquet"] = _known_rows(train_rows, holdout_rows, out_of_fold, schema)
    bundle.write(root / BUNDLE, files)


def _at_training(reference: Reference) -> dict[str, Any]:
    """Return the losses that those of served rows are compared with."""
    return {
        "loss": {name: loss.mean for name, loss in reference.loss.items()},
        "error": {name: loss.error for name, loss in reference.loss.items()},
        "blocks": max(loss.blocks for loss in reference.loss.values()),
        "baseline": reference.baseline,
        "rows": reference.rows,
        "importances": reference.importances,
    }


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
    from mlops.model.predictor import Compiled, decided, uncompiled

    rule = params.model.decision
    if isinstance(build, CustomModel):
        info = _info(done, params, schema, fitted, "its own module predicts", custom=True)
        saved, read = _saved(done, build)
        custom = uncompiled(read, schema, done.classes, build)
        return info, decided(custom, rule, done.classes), {"model.custom": saved}
    from mlops.adapters import onnx, skops

    compared = columns_of(holdout.iloc[spaced(len(holdout), most=_PARITY)], schema)
    compilation = onnx.compile(done.estimator, schema, done.classes, compared)
    info = _info(done, params, schema, fitted, compilation.reason)
    model = {"model.skops": skops.dumps(done.estimator)}
    if compilation.model is None:
        fitted_model = uncompiled(done.estimator, schema, done.classes, build)
        return info, decided(fitted_model, rule, done.classes), model
    compiled = Compiled(compilation.model, done.classes)
    return info, decided(compiled, rule, done.classes), {**model, "model.onnx": compilation.model}


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
        decision=params.model.decision,
    )


def _golden(rows: pd.DataFrame, predictions: Predictions, schema: Schema) -> dict[str, Any]:
    scores = predictions.scores or [None] * len(rows)
    pairs = zip(predictions.values, scores, strict=True)
    return {
        "rows": records(rows, schema),
        "predictions": [{"prediction": prediction, "score": score} for prediction, score in pairs],
    }


def _known_rows(fitted: pd.DataFrame, scored: pd.DataFrame, out_of_fold: OutOfFold, schema: Schema) -> bytes:
    """The rows that were fitted, by hash, and the out-of-fold losses of those that were scored.

    Without a time column nothing else tells which rows are new to this model.
    """
    import pandas as pd

    from mlops.evaluation.metrics import loss_names

    labels = scored[schema.target].tolist()
    losses = pd.DataFrame(
        {name: out_of_fold.losses(name, labels) for name in loss_names(schema.task, out_of_fold.decision)},
        # A model's loss of a row follows from its values and its label: equal ones share it.
        index=row_hashes(scored, schema, labelled=True),
    )
    mean = losses.groupby(level=0).mean()
    row = row_hashes(fitted, schema)
    known = pd.DataFrame({"row": row, "labelled": with_labels(row, fitted[schema.target])})
    known = known.drop_duplicates().sort_values(["row", "labelled"], ignore_index=True)
    return to_bytes(known.join(mean, on="labelled"))


def trained_params(params: Params) -> dict[str, Any]:
    """Return the parameters that a model comes from, as its bundle's lineage names them."""
    # Where tables come from, and what became of them before, says nothing of what was trained on.
    dumped = params.model_dump(
        mode="json", include={"data", "model", "train"}, exclude={"data": {"source", "contract", "raw"}}
    )
    rule = {"threshold", "costs"}
    model = {name: value for name, value in dumped["model"].items() if name not in rule or value is not None}
    return {**dumped, "model": model}


def _lineage(
    root: Path, params: Params, judged: Recipe, train: dict[str, Any], holdout: dict[str, Any]
) -> dict[str, Any]:
    searched = read_chosen(root)
    return {
        "data": train["data"],
        "unlabelled": train["unlabelled"],
        "params": trained_params(params),
        "lock": hashing.of_file(root / LOCK),
        "module": hashing.of_bytes(judged.source),
        "train": train["window"],
        "fitted_until": train["window"]["end"],
        "holdout": holdout["window"],
        "folds": holdout["folds"],
    } | ({"search": searched} if searched else {})
