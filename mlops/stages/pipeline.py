"""The stages by their names in dvc.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops.stages.evaluate import evaluate
from mlops.stages.prepare import prepare
from mlops.stages.split import split
from mlops.stages.train import train

__all__ = ["STAGES"]

STAGES: dict[str, Callable[[Path], None]] = {
    "prepare": prepare,
    "split": split,
    "train": train,
    "evaluate": evaluate,
}
