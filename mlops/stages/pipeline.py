"""The stages by their names in dvc.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops.stages.backtest import backtest
from mlops.stages.evaluate import evaluate
from mlops.stages.prepare import prepare
from mlops.stages.split import split
from mlops.stages.train import train
from mlops.stages.tuning import search

__all__ = ["STAGES"]

STAGES: dict[str, Callable[[Path], None]] = {
    "prepare": prepare,
    "split": split,
    "search": search,
    "backtest": backtest,
    "train": train,
    "evaluate": evaluate,
}
