from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlops.config.params import Params
from mlops.replay.fit_cache import FitCache, Memory
from mlops.replay.fits import Fits
from mlops.replay.played import Played
from mlops.replay.player import play
from mlops.replay.policies import parse_policy
from mlops.replay.timeline import Timeline
from mlops.schema import Schema
from mlops.training.out_of_fold import Recipe

SCHEMA = Schema({"x": "number", "z": "number"}, "y", "binary", time="at", key="id")
DAY = timedelta(days=1)
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
A_DAY = 24
FIRST, STEP, STEPS = 36, 6, 12
"""Days until the first model, days of a step, and how many steps there are."""
SOURCE = b"""
from sklearn.linear_model import LogisticRegression


def build(params, schema):
    return LogisticRegression()
"""
PARAMS = {
    "data": {"name": "made", "target": "y", "time": "at", "key": "id", "features": dict(SCHEMA.features)},
    "model": {"builder": "model.py", "task": "binary"},
    "train": {"window": "12d", "holdout": "18d", "gap": "1d"},
    "gate": {"min_rows": 100},
    "monitor": {"window": "6d", "min_rows": 100, "confirm": 1, "of": 1},
    "retrain": {"cooldown": "6d", "min_rows": 100},
}


def params(**sections: dict[str, object]) -> Params:
    return Params.model_validate(
        {**PARAMS, **{name: {**PARAMS.get(name, {}), **keys} for name, keys in sections.items()}}
    )


def history(
    *, change_day: int | None = None, moved: float = 3.0, days: int = FIRST + STEP * STEPS
) -> pd.DataFrame:
    """Rows of some days; from the day of a change on they lie elsewhere, and the label turns round."""
    rng = np.random.default_rng(1)
    n = days * A_DAY
    day = np.repeat(np.arange(days), A_DAY)
    changed = day >= (days if change_day is None else change_day)
    x, z = rng.normal(0, 1, n), rng.normal(0, 1, n)
    chance = 1 / (1 + np.exp(-np.where(changed, -2 * x, 2 * x)))
    at = pd.Timestamp(BEGIN) + pd.to_timedelta(np.arange(n) % A_DAY, "h") + pd.to_timedelta(day, "D")
    rows = {"x": x + np.where(changed, moved, 0.0), "z": z, "y": rng.random(n) < chance, "at": at}
    return pd.DataFrame({**rows, "id": [f"r{i}" for i in range(n)]})


def edges(steps: int = STEPS) -> list[datetime]:
    return [BEGIN + (FIRST + STEP * number) * DAY for number in range(steps + 1)]


Player = Callable[..., Played]


@pytest.fixture
def played() -> Player:
    def run(
        policy: str,
        rows: pd.DataFrame,
        *,
        settings: Params | None = None,
        delay: timedelta = DAY,
        cache: FitCache | None = None,
        source: bytes = SOURCE,
    ) -> Played:
        settings = settings or params()
        timeline = Timeline(rows, SCHEMA, delay)
        fits = Fits(timeline, Recipe(source, "model.py", {}, 0), cache or Memory())
        return play(parse_policy(policy, settings), timeline, settings, fits, edges=edges())

    return run
