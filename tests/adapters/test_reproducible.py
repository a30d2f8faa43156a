"""Fits in other processes, with other threads: the same model, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import hashlib, warnings
import numpy as np, pandas as pd
from lightgbm import LGBMClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from mlops.adapters import skops
from mlops.schema import Schema
from mlops.training.fit import fit

warnings.simplefilter("ignore")
rng, n = np.random.default_rng(0), 20_000
rows = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(8)})
rows["y"] = rows.x0 + np.sin(3 * rows.x1) * rows.x2 + rng.normal(size=n) > 0
schema = Schema({f"x{i}": "number" for i in range(8)}, "y", "binary")
models = [
    LogisticRegression(),
    MLPClassifier(max_iter=3),
    HistGradientBoostingClassifier(max_iter=20),
    RandomForestClassifier(10, n_jobs=-1),
    LGBMClassifier(n_estimators=20, subsample=0.7, subsample_freq=1, colsample_bytree=0.7, verbose=-1),
]
for model in models:
    done = fit(rows, schema, lambda params, schema: model, {}, seed=SEED).estimator
    lgbm = isinstance(done, LGBMClassifier)
    content = done.booster_.model_to_string().encode() if lgbm else skops.dumps(done)
    print(type(model).__name__, hashlib.sha256(content).hexdigest())
words = HashingVectorizer(n_features=8)
words.transform(["sweet plums"])  # from then on it holds an address in memory
print("HashingVectorizer", hashlib.sha256(skops.dumps(words)).hexdigest())
"""


def fitted(folder: Path, *, seed: int = 7, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("SEED", str(seed))],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def models(process: subprocess.Popen[str]) -> dict[str, str]:
    out, _ = process.communicate(timeout=120)
    return dict(line.split() for line in out.splitlines())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """By one thread; by four, from another folder, with other hashes; and by another seed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    many = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "PYTHONHASHSEED": "11"}
    started = [
        fitted(Path.cwd(), OMP_NUM_THREADS="1", PYTHONHASHSEED="3"),
        fitted(folder, **many),
        fitted(folder, seed=8),
    ]
    return [models(each) for each in started]


def test_threads_hashes_and_folder_do_not_matter(told: list[dict[str, str]]) -> None:
    assert len(told[0]) == 6
    assert told[0] == told[1]


def test_the_seed_does(told: list[dict[str, str]]) -> None:
    assert told[0]["RandomForestClassifier"] != told[2]["RandomForestClassifier"]
