"""Stage `backtest`: the recipe fitted at each origin, and its predictions of the rows after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlops.config.params import Params
from mlops.config.paths import BACKTEST, CHOSEN, PLOTS
from mlops.files.formats import from_json
from mlops.files.parquet import to_bytes
from mlops.schema import Schema
from mlops.stages.io import FORMAT, builder_source, read_params, read_table, write, written_by
from mlops.stages.split import read_plan
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Predictions, from_array
from mlops.training import out_of_fold
from mlops.training.out_of_fold import OutOfFold, Recipe

__all__ = ["backtest", "read_backtest", "read_chosen", "recipe"]


def backtest(root: Path) -> None:
    """Predict the newest rows out of fold, and measure what each feature adds there."""
    import pandas as pd

    plan, _ = read_plan(root)
    params = read_params(root)
    schema, rule = Schema.from_params(params), params.model.decision
    if rule is not None:
        rule.check_labels(plan.rows[schema.target].unique().tolist())
    result, _ = out_of_fold.backtest(plan, schema, recipe(root, params))
    write(root / BACKTEST, _to_bytes(result))
    table = pd.DataFrame(list(result.importances.items()), columns=["feature", "importance"])
    write(root / PLOTS / "importances.csv", table.to_csv(index=False, lineterminator="\n").encode())


def recipe(root: Path, params: Params) -> Recipe:
    """Return what params.yaml and a search, where there was one, make a model with.

    Raises
    ------
    ConfigError
        ``model.builder`` is no file.
    """
    chosen = read_chosen(root)
    return Recipe(
        builder_source(root, params),
        params.model.builder,
        chosen["params"] if chosen else params.model.params,
        params.model.seed,
        params.model.decision,
    )


def read_chosen(root: Path) -> dict[str, Any] | None:
    """Return what the search chose, see `mlops.stages.tuning.chosen`; None where none was asked for."""
    path = root / CHOSEN
    with written_by("search", path):
        value: dict[str, Any] | None = from_json(path.read_bytes(), FORMAT, where=str(path))["chosen"]
    return value


def read_backtest(path: Path) -> OutOfFold:
    """Return the out-of-fold predictions that the stage wrote.

    Raises
    ------
    StageError
        It did not write this file.
    """
    with written_by("backtest", path):
        table, facts = read_table(path)
        classes, importances = facts["classes"], facts["importances"]
        columns = {name: table[name].to_pylist() for name in ("prediction", "score", "baseline")}
        fold = table["fold"].to_numpy()
    if classes is None:
        values, baseline = (Predictions(columns[name]) for name in ("prediction", "baseline"))
        return OutOfFold(fold, values, baseline, None, importances)
    constant = np.asarray(columns["baseline"], dtype=float)
    table_of = np.column_stack([1.0 - constant, constant]) if constant.ndim == 1 else constant
    predictions = Predictions(columns["prediction"], columns["score"])
    result = OutOfFold(fold, predictions, from_array(table_of, classes), classes, importances)
    return result.decided(Decision.from_json(facts.get("decision")))


def _to_bytes(result: OutOfFold) -> bytes:
    import pandas as pd

    baseline, predictions = result.baseline, result.predictions
    frame = pd.DataFrame(
        {
            "fold": result.fold,
            "prediction": predictions.values,
            "score": [None] * len(predictions) if predictions.scores is None else predictions.scores,
            "baseline": baseline.values if baseline.scores is None else baseline.scores,
        }
    )
    facts = {"classes": result.classes, "importances": dict(result.importances)}
    rule = {} if result.decision is None else {"decision": result.decision.to_json()}
    return to_bytes(frame, {**facts, **rule}, format=FORMAT)
