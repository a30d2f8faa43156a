from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.scaffold.leakage import suspects
from mlops.schema import Schema
from mlops.tables.conform import conform

ROWS = 4000


def told(kind: str, column: Any, target: Any, task: str = "binary") -> bool:
    schema = Schema({"told": kind, "noise": "number"}, "y", task)  # type: ignore[dict-item, arg-type]
    noise = np.random.default_rng(9).normal(size=ROWS)
    table = pd.DataFrame({"told": column, "noise": noise, "y": target})
    found = suspects(conform(table, schema), schema)
    assert "noise" not in found
    return found == ["told"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.mark.parametrize("labels", [2, 12, 40, 100])
def test_a_copy_of_the_target_is_named_whatever_it_holds(rng: np.random.Generator, labels: int) -> None:
    label = rng.integers(0, labels, ROWS)
    text = np.char.add("l", label.astype(str)).astype(object)
    task = "binary" if labels == 2 else "multiclass"
    assert told("category", text, text, task)
    assert told("number", label, text, task)
    assert not told("category", rng.permutation(text), text, task)


@pytest.mark.parametrize("values", [30, 541])
@pytest.mark.parametrize("kind", ["category", "number"])
def test_a_category_of_many_values_that_fixes_the_target_is_named(
    rng: np.random.Generator, values: int, kind: str
) -> None:
    value = rng.integers(0, values, ROWS)
    late = rng.random(values)[value] < 0.4
    column = (
        np.char.add("shop ", value.astype(str)).astype(object) if kind == "category" else value * 37 % 1009
    )
    assert told(kind, column, late)
    assert told(kind, column, rng.normal(size=values)[value], "regression")
    mostly = np.where(rng.random(ROWS) < 0.05, ~late, late)
    assert not told(kind, column, mostly)


def test_what_is_nearly_unique_tells_nothing(rng: np.random.Generator) -> None:
    value = np.where(rng.random(ROWS) < 0.9, np.arange(ROWS), 0)
    name = np.char.add("n", value.astype(str)).astype(object)
    late = (value == 0) | (rng.random(ROWS) < 0.5)  # the value that comes again tells, the others do not
    assert not told("category", name, late)
    assert not told("text", name, late)
