"""Made streams that move without changing: seasons, growth, days that resemble their neighbours."""

from __future__ import annotations

import numpy as np

from .generator import BEFORE, DAYS, FEATURES, START, Truth, binary, change, draw, marginal, sigmoid
from .stream import DAY, Array, Stream

__all__ = ["YEAR", "autoregressive", "day_effects", "growth", "weekly_season", "yearly_season"]

YEAR = 365
GROWING = Truth((1.2, -0.8, 0.5, 1.5), (0.4, -0.4, 0.0), 0.6, -0.5)
DAY_DEVIATION = 0.5


def autoregressive(rng: np.random.Generator, size: int, correlation: float, deviation: float) -> Array:
    """Return a stationary AR(1) series with this autocorrelation at lag 1 and this standard deviation."""
    shocks = rng.normal(scale=deviation * np.sqrt(1.0 - correlation**2), size=size)
    series = np.empty(size)
    series[0] = rng.normal(scale=deviation)
    for place in range(1, size):
        series[place] = correlation * series[place - 1] + shocks[place]
    return series


def weekly_season(seed: int) -> Stream:
    """Weekends have another mix of rows and another level, each week alike."""
    drawn = draw("weekly_season", seed)
    weekday = (START.weekday() + drawn.day) % 7
    weekend = weekday >= 5
    moved = drawn.shifted(weekend, 1.0, 0.0, 0.5, 0.0)
    logits = BEFORE.logits(moved.x, moved.group) + np.where(weekend, 0.9, 0.0)
    return binary(
        "weekly_season",
        moved,
        sigmoid(logits),
        columns={"weekday": weekday.astype(float)},
        features={**FEATURES, "weekday": "number"},
        description="Weekends differ from working days, each week alike.",
    )


def yearly_season(seed: int) -> Stream:
    """The weather has its seasons; what follows from it stays. The history holds two years."""
    drawn = draw("yearly_season", seed, days=3 * YEAR, rows_of_a_day=60)
    days = np.arange(drawn.days)
    weather = autoregressive(drawn.rng, drawn.days, 0.7, 3.0)
    of_day = 10.0 - 11.0 * np.cos(2.0 * np.pi * (days - 15) / 365.25) + weather
    temperature = of_day[drawn.day] + drawn.rng.normal(size=len(drawn.day))
    logits = BEFORE.logits(drawn.x, drawn.group) + 1.5 * np.tanh((temperature - 12.0) / 6.0)
    return binary(
        "yearly_season",
        drawn,
        sigmoid(logits),
        columns={"temperature": temperature},
        features={**FEATURES, "temperature": "number"},
        history=2 * YEAR * DAY,
        description="The temperature follows the seasons, and the label the temperature, each year alike.",
    )


def growth(factor: int, seed: int) -> Stream:
    """The level of a column multiplies over the stream; the label depends on the row's ratio to the level."""
    name = f"growth_{factor}"
    drawn = draw(name, seed)
    level = 40.0 * factor ** (drawn.seconds / (DAYS * 86_400))
    return binary(
        name,
        drawn,
        sigmoid(GROWING.logits(drawn.x, drawn.group)),
        columns={"x3": level * np.exp(0.5 * drawn.x[:, 3])},
        description=f"The level of x3 grows {factor}-fold over the stream; a row is judged against it.",
        changes=(change("both", 0, DAYS),),
    )


def day_effects(correlation: float, seed: int) -> Stream:
    """Each day has an effect of its own, which no column shows; neighbouring days resemble each other."""
    name = f"day_effects_{round(10 * correlation)}"
    drawn = draw(name, seed)
    effects = autoregressive(drawn.rng, drawn.days, correlation, DAY_DEVIATION)
    logits = BEFORE.logits(drawn.x, drawn.group)
    return binary(
        name,
        drawn,
        sigmoid(logits + effects[drawn.day]),
        predictable=marginal(logits, DAY_DEVIATION),
        description=f"Days differ, with an autocorrelation of {correlation} from one to the next; "
        "nothing else changes.",
    )
