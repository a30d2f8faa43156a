"""The stages of dvc.yaml: `python -m mlops.stages prepare|split|train|evaluate`.

Each takes files to files below a project's root and nothing else counts: the same files
give the same bytes, in a flow's process as on the command line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import bundle, fingerprint, installation
from mlops.answers import Answers, constant
from mlops.bundle import ModelInfo, to_json
from mlops.config import load_params
from mlops.dataset import columns_of, conform, records, write_parquet
from mlops.errors import ConfigError, MlopsError, StageError
from mlops.lake import Lake
from mlops.layout import BUNDLE, HOLDOUT, LAKE, LOCK, METRICS, PARAMS, PLOTS, PREPARED, SEARCH, TRAIN, TRIALS
from mlops.params import Params
from mlops.sample import spaced
from mlops.schema import Kind, Schema

if TYPE_CHECKING:
    import pandas as pd

    from mlops.own import OwnFunctions
    from mlops.predictor import Predictor
    from mlops.training import Builder, Fit

__all__ = ["STAGES", "held_out", "main", "train"]

log = logging.getLogger("mlops")

_DECISIVE = (
    installation.DISTRIBUTION,
    *("joblib", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow"),
    *("scikit-learn", "scipy", "skl2onnx", "skops", "threadpoolctl"),
)
"""Packages whose version may decide what a model answers, from the rows' reading to its compilation."""
_GOLDEN = 20
_REFERENCE = 20_000
_PARITY = 10_000


def prepare(root: Path) -> None:
    """Read the lake: one row per key, checked and in order."""
    schema = Schema.from_params(_params(root))
    lake = Lake(root / LAKE, _params(root).data.on_duplicate)
    frame = lake.read(schema)
    if kept := frame.attrs.pop("for_label"):
        log.info("%s rows stand for their label, in place of one of the same key without", f"{kept:,}")
    for name, rows in frame.attrs.pop("lacking").items():
        told = f"{rows:,} of {len(frame):,}"
        log.info("%s is missing in %s rows, which were taken in without it", name, told)
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


def train(root: Path, *, journals: Path | None = None) -> None:
    """Choose the parameters where a search is asked for, fit the model and write its bundle.

    Parameters
    ----------
    journals
        Where a search that was killed left its trials; below `root` where not given.
    """
    from mlops.training import fit, load_builder
    from mlops.trial import to_csv
    from mlops.tuning import chosen, journal_of, tune

    params = _params(root)
    schema = Schema.from_params(params)
    fitted_rows, train_facts = _rows(root / TRAIN, schema)
    held_rows, holdout_facts = _rows(root / HOLDOUT, schema)
    installation.check_pinned(params.model.packages, root / LOCK)
    source = _builder(root, params)
    build = load_builder(source, params.model.builder)
    inputs = [
        fingerprint.of_file(root / TRAIN),
        fingerprint.of_file(root / LOCK),
        fingerprint.of_bytes(source),
    ]
    journal = journal_of(journals or root / SEARCH, params, inputs)
    trials = tune(fitted_rows, schema, build, params, journal=journal)
    picked = chosen(params, schema, trials)
    wanted = picked["params"] if picked else params.model.params
    done = fit(fitted_rows, schema, build, wanted, seed=params.model.seed)
    info, predictor, model = _made(done, build, params, schema, fitted_rows, held_rows)

    def answer(rows: pd.DataFrame) -> Answers:
        return predictor.predict(columns_of(rows, schema))

    golden = held_rows.iloc[spaced(len(held_rows), most=_GOLDEN)]
    reference = fitted_rows.iloc[spaced(len(fitted_rows), most=_REFERENCE)]
    told = answer(held_rows)
    files = {
        **model,
        "module.py": source,
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json(_golden(golden, answer(golden), schema)),
        "reference.parquet": write_parquet(_watched(reference, *schema.features, schema=schema)),
        "answers.parquet": _answered(held_rows, told, schema),
        "reference.json": to_json(_losses(held_rows, schema, info, told)),
        "lineage.json": to_json(
            _lineage(root, params, source, train_facts, holdout_facts)
            | ({"search": picked} if picked else {})
        ),
    }
    bundle.write(root / BUNDLE, files)
    _write(root / TRIALS, to_csv(trials))
    journal.remove()


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
        "residuals": plots.residuals(truth, answers, info.classes),
        "importances": plots.importances(
            model, columns, truth, schema=schema, classes=info.classes, seed=seed
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


def held_out(root: Path, more: Mapping[str, Kind]) -> pd.DataFrame:
    """Return the rows that `split` holds out, in its order, with features that params.yaml leaves out.

    Those are missing where the lake lacks them.

    Parameters
    ----------
    more
        Their names, and their kinds.
    """
    from mlops.split import split as split_rows

    params = _params(root)
    schema, rule = Schema.from_params(params), params.train
    wider = replace(schema, features={**schema.features, **more})
    frame = Lake(root / LAKE, params.data.on_duplicate).read(wider, optional=more)
    known = frame[frame[schema.target].notna()]
    # By the schema without them: they have no say in what is held out.
    return split_rows(known, schema, window=rule.window, holdout=rule.holdout, gap=rule.gap).holdout


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
    return load_params(root / PARAMS)


def _builder(root: Path, params: Params) -> bytes:
    path = root / params.model.builder
    if not path.is_file():
        raise ConfigError("model.builder", given=params.model.builder, allowed="a file of the project")
    return path.read_bytes()


def _made(
    done: Fit,
    build: Builder,
    params: Params,
    schema: Schema,
    fitted: pd.DataFrame,
    held: pd.DataFrame,
) -> tuple[ModelInfo, Predictor, Mapping[str, bytes]]:
    """What is told of a fitted model, what answers with it, and the files that hold it."""
    from mlops.own import OwnFunctions
    from mlops.predictor import Compiled, uncompiled

    if isinstance(build, OwnFunctions):
        info = _info(done, params, schema, fitted, "it is answered by its own module", own=True)
        saved, read = _kept(done, build)
        return info, uncompiled(read, schema, done.classes, build), {"model.own": saved}
    from mlops.adapters import onnx, skops

    compared = columns_of(held.iloc[spaced(len(held), most=_PARITY)], schema)
    compilation = onnx.compile(done.estimator, schema, done.classes, compared)
    info = _info(done, params, schema, fitted, compilation.reason)
    model = {"model.skops": skops.dumps(done.estimator)}
    if compilation.model is None:
        return info, uncompiled(done.estimator, schema, done.classes, build), model
    return info, Compiled(compilation.model, done.classes), {**model, "model.onnx": compilation.model}


def _kept(done: Fit, own: OwnFunctions) -> tuple[bytes, Any]:
    """A model's bytes, and the model that is read from them: it is what will be asked."""
    remedy = "Correct the functions save and load in the module model.builder."
    try:
        saved = own.save(done.estimator)
        if isinstance(saved, bytes):
            return saved, own.load(saved)
    except Exception as exc:  # the module raises whatever it met
        said = f"{type(exc).__name__}: {exc}"
        raise StageError(f"The model could not be saved and read: {said}", remedy=remedy) from exc
    raise StageError(f"The function save returned {type(saved).__name__}, not bytes.", remedy=remedy)


def _info(
    done: Fit,
    params: Params,
    schema: Schema,
    rows: pd.DataFrame,
    why_not_compiled: str | None,
    *,
    own: bool = False,
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
            name: sorted(rows[name].unique()) for name, kind in schema.features.items() if kind == "category"
        },
        versions={
            **installation.versions([*_DECISIVE, *searched, *params.model.packages]),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        },
        own=own,
        packages=list(params.model.packages),
    )


def _golden(rows: pd.DataFrame, answers: Answers, schema: Schema) -> dict[str, Any]:
    scores = answers.scores or [None] * len(rows)
    pairs = zip(answers.predictions, scores, strict=True)
    return {
        "rows": records(rows, schema),
        "answers": [{"prediction": prediction, "score": score} for prediction, score in pairs],
    }


def _answered(rows: pd.DataFrame, answers: Answers, schema: Schema) -> bytes:
    """The answers that served ones are compared with, to rows that the model never saw either.

    Of what it was fitted on it is surer: beside that, the same data would have drifted.
    """
    answered = _watched(rows, schema=schema).assign(prediction=answers.signal(schema.task))
    return write_parquet(answered.iloc[spaced(len(rows), most=_REFERENCE)])


def _watched(rows: pd.DataFrame, *names: str, schema: Schema) -> pd.DataFrame:
    return rows[list(dict.fromkeys([*names, *([schema.time] if schema.time else [])]))]


def _losses(rows: pd.DataFrame, schema: Schema, info: ModelInfo, answers: Answers) -> dict[str, Any]:
    from mlops.metric import mean_losses

    truth = rows[schema.target].tolist()
    baseline = constant(info.prior, info.classes, len(rows))
    return {
        "loss": mean_losses(info.task, truth, answers, info.classes),
        "baseline": mean_losses(info.task, truth, baseline, info.classes),
        "rows": len(rows),
    }


def _lineage(
    root: Path, params: Params, source: bytes, train: dict[str, Any], holdout: dict[str, Any]
) -> dict[str, Any]:
    return {
        "data": train["data"],
        "unlabelled": train["unlabelled"],
        # Where tables come from, and what became of them before, says nothing of what was learnt.
        "params": params.model_dump(
            mode="json", include={"data", "model", "train"}, exclude={"data": {"source", "contract", "raw"}}
        ),
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
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mlops").setLevel(logging.INFO)  # the progress of a search
    sys.exit(main(sys.argv[1:]))
