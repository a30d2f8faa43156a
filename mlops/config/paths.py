"""Where things lie in a project's tree, from its root, and the loop's branch of it."""

from __future__ import annotations

__all__ = [
    "BACKTEST",
    "BUNDLE",
    "CHOSEN",
    "DVC_LOCK",
    "GRAPH",
    "HOLDOUT",
    "LAKE",
    "LOCK",
    "LOOP_BRANCH",
    "METRICS",
    "PARAMS",
    "PLOTS",
    "POINTERS",
    "POSITIONS",
    "PREPARED",
    "RAW",
    "SEARCH",
    "TRAIN",
    "TRAINING_INPUTS",
    "TRAINING_OUTPUTS",
    "TRIALS",
]

PARAMS = "params.yaml"
GRAPH = "dvc.yaml"
"""DVC's graph of stages."""
LOCK = "requirements.lock"
"""The packages, pinned."""
DVC_LOCK = "dvc.lock"
"""What DVC wrote of the last run of each stage."""

LAKE = "data/lake"
"""The folder of data that every project has."""
RAW = "data/raw"
"""Beside it, what was ingested as it came."""
POSITIONS = "data/positions.json"
"""Source → how far it was read into this tree's lake."""
POINTERS = (f"{LAKE}.dvc", f"{RAW}.dvc", "data/.gitignore", POSITIONS)
"""The files in git of a version of the data."""

PREPARED = "data/prepared.parquet"
TRAIN = "data/train.parquet"
HOLDOUT = "data/holdout.parquet"
CHOSEN = "build/search.json"
"""What a search chose; null where none was asked for."""
BACKTEST = "build/backtest.parquet"
"""The out-of-fold predictions of the rows of HOLDOUT, in their order."""
BUNDLE = "build/bundle"
METRICS = "build/metrics.json"
PLOTS = "build/plots"
TRIALS = "build/trials.csv"
SEARCH = ".mlops/search"
"""Where a search keeps its trials while it runs."""

TRAINING_INPUTS = (PARAMS, GRAPH, LOCK, *POINTERS)
"""What a training is committed with, beside the model's module."""
TRAINING_OUTPUTS = (DVC_LOCK, METRICS, "build/.gitignore", f"{PLOTS}/.gitignore", "data/.gitignore")
"""The files in git of a training's outputs."""

LOOP_BRANCH = "mlops/loop"
"""The branch of what runs unattended."""
