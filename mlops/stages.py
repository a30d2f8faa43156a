"""The stages of dvc.yaml: `python -m mlops.stages prepare|split|train|evaluate`.

Each takes files to files below a project's root and nothing else counts: the same files
give the same bytes, in a flow's process as on the command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import bundle, fingerprint
from mlops.answers import Answers, constant
from mlops.bundle import ModelInfo, to_json
from mlops.config import Params, load_params
from mlops.dataset import Lake, columns_of, conform, records, write_parquet
from mlops.errors import ConfigError, MlopsError, StageError
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

    from mlops.training import Fit

__all__ = ["STAGES", "main"]

LAKE = Path("data/lake")
PREPARED = Path("data/prepared.parquet")
TRAIN = Path("data/train.parquet")
HOLDOUT = Path("data/holdout.parquet")
LOCK = Path("requirements.lock")
BUNDLE = Path("build/bundle")
METRICS = Path("build/metrics.json")
PLOTS = Path("build/plots")

_GOLDEN = 20
_REFERENCE = 20_000
_PARITY = 10_000


def prepare(root: Path) -> None:
    """Read the lake: one row per key, checked and in order."""
    schema = Schema.from_params(_params(root))
    lake = Lake(root / LAKE)
    frame = lake.read(schema)
    # The version of the data travels with the rows: what is trained names what was read.
    _write(root / PREPARED, write_parquet(frame, {"data": lake.digest()}))


def split(root: Path) -> None:
    """Of the rows with a label, hold out the newest; take the window before them for fitting."""
    from mlops.split import split as split_rows

    params = _params(root)
    schema = Schema.from_params(params)
    frame, facts = _rows(root / PREPARED, schema)
    known = frame[frame[schema.target].notna()]
    facts["unlabelled"] = len(frame) - len(known)
    rule = params.train
    parts = split_rows(known, schema, window=rule.window, holdout=rule.holdout, gap=rule.gap)
    train = _window(parts.train_start, parts.train_end, len(parts.train))
    holdout = _window(parts.holdout_start, parts.holdout_end, len(parts.holdout))
    _write(root / TRAIN, write_parquet(parts.train, {**facts, "window": train}))
    _write(root / HOLDOUT, write_parquet(parts.holdout, {**facts, "window": holdout}))


def train(root: Path) -> None:
    """Fit the model and write its bundle."""
    from mlops.adapters import onnx, skops
    from mlops.predictor import Compiled, Fitted
    from mlops.training import fit, load_builder

    params = _params(root)
    schema = Schema.from_params(params)
    fitted_rows, train_facts = _rows(root / TRAIN, schema)
    held_rows, holdout_facts = _rows(root / HOLDOUT, schema)
    source = _builder(root, params)
    build = load_builder(source, params.model.builder)
    done = fit(fitted_rows, schema, build, params.model.params, seed=params.model.seed)
    compared = columns_of(_spaced(held_rows, _PARITY), schema)
    compilation = onnx.compile(done.estimator, schema, done.classes, compared)
    compiled = compilation.model
    predictor = (
        Fitted(done.estimator, schema, done.classes)
        if compiled is None
        else Compiled(compiled, schema, done.classes)
    )

    def answer(rows: pd.DataFrame) -> Answers:
        return predictor.predict(columns_of(rows, schema))

    golden, reference = _spaced(held_rows, _GOLDEN), _spaced(fitted_rows, _REFERENCE)
    info = _info(done, params, schema, fitted_rows, why_not_compiled=compilation.reason)
    files = {
        "model.skops": skops.dumps(done.estimator),
        "module.py": source,
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json(_golden(golden, answer(golden), schema)),
        "reference.parquet": _reference(reference, answer(reference), schema),
        "reference.json": to_json(_losses(held_rows, schema, info, answer)),
        "lineage.json": to_json(_lineage(root, params, source, train_facts, holdout_facts)),
    }
    bundle.write(root / BUNDLE, files if compiled is None else {**files, "model.onnx": compiled})


def evaluate(root: Path) -> None:
    """Measure the bundle on the held-out rows."""
    from mlops import metric, plots, predictor

    opened = bundle.open(root / BUNDLE)
    schema, info = opened.schema, opened.model
    rows, _ = _rows(root / HOLDOUT, schema)
    truth, columns = rows[schema.target].tolist(), columns_of(rows, schema)
    model = predictor.load(opened)
    answers = model.predict(columns)
    baseline = constant(info.prior, info.classes, len(rows))
    seed = opened.lineage["params"]["model"]["seed"]
    figures = {
        "holdout": metric.report(info.task, truth, answers, info.classes),
        "baseline": metric.report(info.task, truth, baseline, info.classes),
        "rows": {"train": opened.lineage["train"]["rows"], "holdout": len(rows)},
        "compiled": info.compiled,
    }
    _write(root / METRICS, to_json(figures))
    tables = {
        "roc": plots.roc(truth, answers, info.classes),
        "calibration": plots.calibration(truth, answers, info.classes),
        "confusion": plots.confusion(truth, answers, info.classes),
        "importances": plots.importances(
            model, columns, truth, task=info.task, classes=info.classes, seed=seed
        ),
    }
    for name, table in tables.items():
        _write(root / PLOTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())


STAGES: dict[str, Callable[[Path], None]] = {
    "prepare": prepare,
    "split": split,
    "train": train,
    "evaluate": evaluate,
}


def main(arguments: list[str]) -> int:
    """Run the stage that the command line names, in the current folder; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m mlops.stages {'|'.join(STAGES)}\n")
        return 2
    try:
        STAGES[arguments[0]](Path.cwd())
    except MlopsError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


def _params(root: Path) -> Params:
    return load_params(root / "params.yaml")


def _builder(root: Path, params: Params) -> bytes:
    path = root / params.model.builder
    if not path.is_file():
        raise ConfigError("model.builder", given=params.model.builder, allowed="a file of the project")
    return path.read_bytes()


def _info(
    done: Fit, params: Params, schema: Schema, rows: pd.DataFrame, *, why_not_compiled: str | None
) -> ModelInfo:
    return ModelInfo(
        task=schema.task,
        classes=done.classes,
        prior=done.prior,
        compiled=why_not_compiled is None,
        why_not_compiled=why_not_compiled,
        trusted=list(params.model.trusted),
        categories={
            name: sorted(rows[name].unique()) for name, kind in schema.features.items() if kind == "category"
        },
        versions={name: version(name) for name in ("scikit-learn", "skops", "onnxruntime", "numpy")},
    )


def _golden(rows: pd.DataFrame, answers: Answers, schema: Schema) -> dict[str, Any]:
    scores = answers.scores or [None] * len(rows)
    pairs = zip(answers.predictions, scores, strict=True)
    return {
        "rows": records(rows, schema),
        "answers": [{"prediction": prediction, "score": score} for prediction, score in pairs],
    }


def _reference(rows: pd.DataFrame, answers: Answers, schema: Schema) -> bytes:
    kept = [*schema.features, *([schema.time] if schema.time else [])]
    return write_parquet(rows[kept].assign(prediction=answers.signal(schema.task)))


def _losses(
    rows: pd.DataFrame, schema: Schema, info: ModelInfo, answer: Callable[[pd.DataFrame], Answers]
) -> dict[str, Any]:
    from mlops.metric import mean_losses

    truth = rows[schema.target].tolist()
    baseline = constant(info.prior, info.classes, len(rows))
    return {
        "loss": mean_losses(info.task, truth, answer(rows), info.classes),
        "baseline": mean_losses(info.task, truth, baseline, info.classes),
        "rows": len(rows),
    }


def _spaced(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, evenly spaced: every stretch of time is there."""
    if len(rows) <= most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, most).astype(int)]


def _lineage(
    root: Path, params: Params, source: bytes, train: dict[str, Any], holdout: dict[str, Any]
) -> dict[str, Any]:
    return {
        "data": train["data"],
        "unlabelled": train["unlabelled"],
        "params": params.model_dump(mode="json", include={"data", "model", "train"}),
        "lock": fingerprint.of_file(root / LOCK),
        "module": fingerprint.of_bytes(source),
        "train": train["window"],
        "holdout": holdout["window"],
    }


def _window(start: datetime | None, end: datetime | None, rows: int) -> dict[str, Any]:
    return {"start": start and start.isoformat(), "end": end and end.isoformat(), "rows": rows}


def _rows(path: Path, schema: Schema) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that a stage wrote, and the facts that travel with them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[b"mlops"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as exc:
        raise StageError(
            f"{path} was not written by the stage before: {exc}.", remedy="Run `dvc repro`."
        ) from exc
    return conform(table.to_pandas(), schema), facts


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
