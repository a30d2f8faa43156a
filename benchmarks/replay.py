"""A replay of two years, 100,000 rows, 24 steps and four policies, over its bare fits and predictions.

    .venv/bin/python benchmarks/replay.py [rounds]

Goal: at most 1.3 times. The bare side does each distinct fit once and predicts each row once per policy, with
the same thread settings, in one process as the replay here. Side by side, in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mlops.config.params import Params
from mlops.model.predictor import uncompiled
from mlops.replay.fit_cache import Memory
from mlops.replay.fits import Fits
from mlops.replay.player import play
from mlops.replay.policies import parse_policy
from mlops.replay.timeline import Timeline
from mlops.schema import Schema
from mlops.tables.conform import columns_of
from mlops.training.fit import fit
from mlops.training.out_of_fold import Recipe

ROWS, STEPS, STEP = 100_000, 24, timedelta(days=30)
POLICIES = ("never", "always", "every=60d", "params")
FEATURES = {f"x{number}": "number" for number in range(10)} | {"place": "category"}
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
WINDOW, HOLDOUT, GAP = timedelta(days=90), timedelta(days=30), timedelta(days=1)
FIRST = WINDOW + HOLDOUT + GAP + timedelta(days=1)
RECIPE = Recipe((Path(__file__).parent / "recipe.py").read_bytes(), "recipe.py", {"max_iter": 100}, 0)


def rows() -> pd.DataFrame:
    """Return rows whose labels depend on other features after a year."""
    rng = np.random.default_rng(0)
    length = (FIRST + STEPS * STEP).total_seconds()
    at = pd.Timestamp(BEGIN) + pd.to_timedelta(np.sort(rng.uniform(0, length, ROWS)), "s")
    frame = pd.DataFrame(rng.normal(size=(ROWS, 10)), columns=list(FEATURES)[:10])
    later = np.asarray(at > pd.Timestamp(BEGIN + timedelta(days=400)))
    signal = np.where(later, frame["x1"], frame["x0"]) + 0.5 * frame["x2"]
    return frame.assign(
        place=rng.choice(list("abcdef"), ROWS),
        y=rng.random(ROWS) < 1 / (1 + np.exp(-2 * signal)),
        at=at.floor("us"),
        key=[f"r{number}" for number in range(ROWS)],
    )


SCHEMA = Schema(FEATURES, "y", "binary", time="at", key="key")
PARAMS = Params.model_validate(
    {
        "data": {"name": "made", "target": "y", "time": "at", "key": "key", "features": FEATURES},
        "model": {"builder": "recipe.py", "task": "binary"},
        "train": {"window": "90d", "holdout": "30d", "gap": "1d"},
        "monitor": {"window": "30d", "confirm": 1, "of": 1},
        "retrain": {"cooldown": "7d"},
    }
)


class Recorded(Fits):
    """Fits that remember which rows were fitted, for the bare side."""

    fitted: list[pd.DataFrame]

    def model(self, plan):
        """Return the refit of a plan."""
        before = self._cache.made
        model = super().model(plan)
        if self._cache.made > before:
            self.fitted.append(plan.train)
        return model

    def out_of_fold(self, plan):
        """Return the backtest of a plan."""
        before = self._cache.made
        result = super().out_of_fold(plan)
        if self._cache.made > before:
            self.fitted += [part for _, part, _ in plan.parts()]
        return result


class Counting(Memory):
    """Counts what was made."""

    made = 0

    def obtain(self, digest, make):
        """Return what is kept by this digest; make and keep it where it is not."""

        def counted():
            self.made += 1
            return make()

        return super().obtain(digest, counted)


def replay(timeline: Timeline, fits: Fits) -> list[int]:
    """Play the policies; return the trainings of each."""
    edges = [BEGIN + FIRST + number * STEP for number in range(STEPS + 1)]
    played = [play(parse_policy(name, PARAMS), timeline, PARAMS, fits, edges=edges) for name in POLICIES]
    return [one.trainings for one in played]


def bare(timeline: Timeline, fitted: list[pd.DataFrame]) -> None:
    """Fit the same rows, and predict every row that was served, once a policy."""
    build = RECIPE.build()
    with threadpool_limits(limits=1):
        for part in fitted:
            done = fit(part, SCHEMA, build, RECIPE.params, seed=0)
        model = uncompiled(done.estimator, SCHEMA, done.classes, build)
        served = timeline.rows.iloc[timeline.before(BEGIN + FIRST) :]
        for _ in POLICIES:
            for part in np.array_split(np.arange(len(served)), STEPS):
                model.predict(columns_of(served.iloc[part], SCHEMA))


def seconds(work: Callable[[], object]) -> float:
    """Time work on this process's own processor time: others may be busy beside it."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main(rounds: int) -> None:
    """Print the ratio."""
    timeline = Timeline(rows(), SCHEMA, timedelta(days=1))
    recorder = Recorded(timeline, RECIPE, Counting())
    recorder.fitted = []
    trainings = replay(timeline, recorder)
    counts = ", ".join(f"{name} {count}" for name, count in zip(POLICIES, trainings, strict=True))
    print(f"trainings              {counts}; {len(recorder.fitted)} distinct fits")
    pairs = [
        (
            seconds(lambda: replay(timeline, Fits(timeline, RECIPE, Memory()))),
            seconds(lambda: bare(timeline, recorder.fitted)),
        )
        for _ in range(rounds)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"replay                 {ours:6.2f} s   processor time, median of {rounds}")
    print(f"bare fits, predictions {theirs:6.2f} s")
    print(f"ratio                  {statistics.median(a / b for a, b in pairs):6.2f}     goal <= 1.3")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
