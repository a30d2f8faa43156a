"""Stage `split`: the rows to fit and the rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.config.paths import (
    HOLDOUT,
    LAKE,
    PREPARED,
    TRAIN,
)
from mlops.data.lake import Lake
from mlops.files.parquet import to_bytes
from mlops.schema import Schema
from mlops.stages.io import FORMAT, read_params, read_rows, window, write

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["held_out", "split"]


def split(root: Path) -> None:
    """Of the rows with a label, hold out the newest; take the window before them for fitting."""
    from mlops.training.holdout import split as split_rows

    params = read_params(root)
    schema = Schema.from_params(params)
    frame, facts = read_rows(root / PREPARED, schema)
    known = frame[frame[schema.target].notna()]
    facts["unlabelled"] = len(frame) - len(known)
    rule = params.train
    parts = split_rows(known, schema, window=rule.window, holdout=rule.holdout, gap=rule.gap)
    train = window(parts.train_start, parts.train_end, len(parts.train))
    holdout = window(parts.holdout_start, parts.holdout_end, len(parts.holdout))
    write(root / TRAIN, to_bytes(parts.train, {**facts, "window": train}, format=FORMAT))
    write(root / HOLDOUT, to_bytes(parts.holdout, {**facts, "window": holdout}, format=FORMAT))


def held_out(root: Path, more: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows that `split` holds out, in its order, with features that params.yaml leaves out.

    Those are missing where the lake lacks them.

    Parameters
    ----------
    more
        Their names, and their kinds.
    """
    from mlops.training.holdout import split as split_rows

    params = read_params(root)
    schema, rule = Schema.from_params(params), params.train
    wider = replace(schema, features={**schema.features, **more})
    frame = Lake(root / LAKE, params.data.on_duplicate).read(wider, optional=more)
    known = frame[frame[schema.target].notna()]
    # By the schema without them: they have no say in what is held out.
    return split_rows(known, schema, window=rule.window, holdout=rule.holdout, gap=rule.gap).holdout
