"""Stage `split`: the rows that the model is fitted on, and those that the folds predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.config.paths import (
    HOLDOUT,
    LAKE,
    PREPARED,
    TRAIN,
)
from mlops.data.lake import Lake
from mlops.files.parquet import to_bytes
from mlops.schema import Schema
from mlops.stages.io import FORMAT, log, read_params, read_rows, window, write
from mlops.training import plan as planning
from mlops.training.plan import Plan

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["held_out", "read_plan", "split"]


def split(root: Path) -> None:
    """Take the newest rows with a label for fitting, and of those the newest for the backtest."""
    plan, facts = read_plan(root)
    if plan.drawn is not None:
        log.info(plan.drawn.sentence)
        facts["drawn"] = asdict(plan.drawn)
    train = window(plan.period.start, plan.period.end, len(plan.refit))
    holdout = window(plan.holdout.start, plan.holdout.end, len(plan.scored))
    folds = [
        {
            "train": window(fold.fitted_period.start, fold.fitted_period.end, len(fold.fitted)),
            "holdout": window(fold.scored_period.start, fold.scored_period.end, len(fold.scored)),
        }
        for fold in plan.folds
    ]
    write(root / TRAIN, to_bytes(plan.train, {**facts, "window": train}, format=FORMAT))
    write(root / HOLDOUT, to_bytes(plan.scored, {**facts, "window": holdout, "folds": folds}, format=FORMAT))


def read_plan(root: Path) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of the prepared table, and the facts that travel with its rows."""
    params = read_params(root)
    schema = Schema.from_params(params)
    frame, facts = read_rows(root / PREPARED, schema)
    facts["unlabelled"] = int(frame[schema.target].isna().sum())
    return _plan(frame, schema, params), facts


def held_out(root: Path, more: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows that the folds predict, in their order, with features that params.yaml leaves out.

    Those are missing where the lake lacks them.

    Parameters
    ----------
    more
        Their names, and their feature types.
    """
    params = read_params(root)
    schema = Schema.from_params(params)
    wider = replace(schema, features={**schema.features, **more})
    frame = Lake(root / LAKE, params.data.on_duplicate).read(wider, optional=more)
    # By the schema without them: they have no say in what is held out.
    return _plan(frame, schema, params).scored


def _plan(frame: pd.DataFrame, schema: Schema, params: Params) -> Plan:
    return planning.plan(frame, schema, params.train)
