"""The model that a new project begins with, on columns of every kind: fitted, compiled, saved, read back."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.adapters import onnx, skops
from mlops.evaluation.metrics import mean_losses
from mlops.files import yaml
from mlops.model.predictor import Fitted, load_fitted
from mlops.scaffold.candidates import untried
from mlops.schema import Schema
from mlops.tables.conform import columns_of, conform
from mlops.training.fit import fit, load_builder

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "models" / "table" / "model.py"
SCHEMA = Schema({"size": "number"}, "y", "binary")
KINDS: dict[str, Any] = {
    "size": "number", "colour": "category", "shop": "category", "wet": "boolean",
    "due": "date", "note": "text",
}  # fmt: skip
N = 1200


def table(task: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=N), rng.choice(["red", "green", "blue"], N).astype(object)
    due = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 24 * 300, N), "h")
    words = np.array(["late", "fine", "again", "parcel", "came", "left"])
    note = [" ".join(rng.choice(words, 5)) for _ in range(N)]
    signal = size + 2.0 * (colour == "red") + (due.hour > 12) + np.array(["late" in text for text in note])
    size[::9], colour[::11] = np.nan, None
    named = {
        "binary": signal > 2,
        "multiclass": np.array(["low", "mid", "high"], dtype=object)[np.digitize(signal, [1.5, 3.0])],
        "regression": signal,
    }
    shop = np.char.add("s", rng.integers(0, 600, N).astype(str))
    return pd.DataFrame(
        {"size": size, "colour": colour, "shop": shop, "wet": rng.choice([True, False, None], N), "due": due}
    ).assign(note=note, y=named[task])


def test_it_takes_each_parameter_that_the_docs_set() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    found = set(re.findall(r"--set(?:-param)? model\.params\.(\w+)=([\w.]+)", pages))
    assert len(found) > 1
    build = load_builder(MODULE.read_bytes(), "model.py")
    rows = conform(table("binary")[:200], SCHEMA)
    for name, value in found:
        for proposed in (untried(1200), {"algorithm": "linear", "C": 0.1}):
            fit(rows, SCHEMA, build, {**proposed, name: yaml.parse(value, file="")}, seed=0)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("algorithm", ["boosting", "linear"])
def test_it_learns_from_every_kind_and_is_read_back_the_same(task: str, texts: bool, algorithm: str) -> None:
    kinds = {name: kind for name, kind in KINDS.items() if texts or kind != "text"}
    schema = Schema(kinds, "y", task)
    rows = conform(table(task), schema)
    seen, unseen = rows[:900], rows[900:]
    build = load_builder(MODULE.read_bytes(), "model.py")
    fitted = fit(seen, schema, build, {"algorithm": algorithm}, seed=1)
    columns = columns_of(unseen, schema)
    answers = Fitted(fitted.estimator, schema, fitted.classes).predict(columns)
    loss = mean_losses(task, unseen["y"].tolist(), answers, fitted.classes)
    easy = {
        "binary": ("log_loss", 0.5),
        "multiclass": ("log_loss", 0.9),
        "regression": ("squared_error", 1.2),
    }
    assert loss[easy[task][0]] < easy[task][1]
    again = load_fitted(skops.dumps(fitted.estimator), MODULE.read_bytes(), trusted=())
    assert Fitted(again, schema, fitted.classes).predict(columns) == answers
    compiled = onnx.compile(fitted.estimator, schema, fitted.classes, columns)
    assert (compiled.model is None) == texts, compiled.reason


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    schema = Schema({name: kind for name, kind in KINDS.items() if kind != "text"}, "y", "binary")
    rows = conform(table("binary"), schema)
    build = load_builder(MODULE.read_bytes(), "model.py")
    params = {"early_stopping": True, "max_iter": 30}
    one, two, other = (
        skops.dumps(fit(rows, schema, build, params, seed=seed).estimator) for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other


def test_an_unknown_algorithm_is_named() -> None:
    spec = importlib.util.spec_from_file_location("table_model", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError, match="boosting, linear"):
        module.build({"algorithm": "forest"}, Schema({"x": "number"}, "y", "binary"))
