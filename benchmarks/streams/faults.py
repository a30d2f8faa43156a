"""Made streams whose values are not what they seem: units, sentinels, tails, gaps."""

from __future__ import annotations

import numpy as np

from .generator import (
    AFTER,
    BEFORE,
    CHANGE_DAY,
    Draw,
    Truth,
    binary,
    change,
    draw,
    marginal,
    regression,
    sigmoid,
)
from .stream import Array, Stream

__all__ = [
    "BURSTS",
    "SENTINELS",
    "heavy_tails",
    "missing_bursts",
    "sentinels",
    "sentinels_abrupt",
    "unit_change",
]

SENTINELS = (-999.0, 999.0)
SENTINEL_SHARE = 0.001
BURSTS = ((40, 4), (95, 6), (160, 3), (215, 7), (290, 5), (333, 6), (402, 3), (470, 7))
"""First day and length in days of each burst."""
MISSING_SHARE = 0.7


def unit_change(seed: int) -> Stream:
    """A column is recorded in another unit from one day to the next: ×100. Nothing else changes."""
    drawn = draw("unit_change", seed)
    metres = 10.0 + 2.0 * drawn.x[:, 0]
    return binary(
        "unit_change",
        drawn,
        sigmoid(BEFORE.logits(drawn.x, drawn.group)),
        columns={"x0": metres * np.where(drawn.day >= CHANGE_DAY, 100.0, 1.0)},
        description="x0 is in metres until one day, in centimetres from the next.",
        changes=(change("unit"),),
    )


def _without_x0(truth: Truth, drawn: Draw, hidden: Array, mean: Array | float) -> Array:
    """The best prediction where x0, N(mean, 1), cannot be read."""
    blank = drawn.x.copy()
    blank[hidden, 0] = np.broadcast_to(mean, len(hidden))[hidden]
    slope = np.abs(truth.weights[0] + truth.interaction * drawn.x[:, 1])
    logits = truth.logits(blank, drawn.group)
    return np.where(hidden, marginal(logits, slope), sigmoid(logits))


def _with_sentinels(name: str, seed: int, shift: float, truth: Truth, **facts: object) -> Stream:
    drawn = draw(name, seed)
    changed = drawn.day >= CHANGE_DAY
    moved = drawn.shifted(changed, shift, 0.0, 0.0, 0.0)
    logits = np.where(changed, *(t.logits(moved.x, moved.group) for t in (truth, BEFORE)))
    hidden = drawn.rng.random(len(changed)) < SENTINEL_SHARE
    before, after = (_without_x0(t, moved, hidden, np.where(changed, shift, 0.0)) for t in (BEFORE, truth))
    return binary(
        name,
        moved,
        sigmoid(logits),
        predictable=np.where(changed, after, before),
        columns={"x0": np.where(hidden, drawn.rng.choice(SENTINELS, size=len(hidden)), moved.x[:, 0])},
        **facts,
    )


def sentinels(seed: int) -> Stream:
    """A few values of a column stand for none: -999 and 999. Nothing changes."""
    description = "One x0 in a thousand is -999 or 999, which stand for a missing value; nothing changes."
    return _with_sentinels("sentinels", seed, 0.0, BEFORE, description=description)


def sentinels_abrupt(seed: int) -> Stream:
    """As sentinels, and the column itself moves with the concept."""
    return _with_sentinels(
        "sentinels_abrupt",
        seed,
        1.0,
        AFTER,
        description="One x0 in a thousand is -999 or 999; the others, and the causes, change on one day.",
        changes=(change("both"),),
    )


def heavy_tails(seed: int) -> Stream:
    """Features without a variance and a target with rare large errors; nothing changes."""
    drawn = draw("heavy_tails", seed)
    tails = drawn.rng.standard_t(2, size=drawn.x.shape)
    bent = np.arcsinh(tails)
    return regression(
        "heavy_tails",
        drawn,
        20.0 + 4.0 * BEFORE.logits(bent, drawn.group),
        lambda rng, rows: 2.0 * rng.standard_t(3, size=rows),
        columns={f"x{place}": tails[:, place] for place in range(tails.shape[1])},
        description="A number. Features and errors have heavy tails (Student's t, 2 and 3); nothing changes.",
    )


def missing_bursts(seed: int) -> Stream:
    """A column is mostly missing for some days, eight times; nothing else changes."""
    drawn = draw("missing_bursts", seed)
    in_burst = np.zeros(drawn.days, dtype=bool)
    for first, length in BURSTS:
        in_burst[first : first + length] = True
    hidden = in_burst[drawn.day] & (drawn.rng.random(len(drawn.day)) < MISSING_SHARE)
    return binary(
        "missing_bursts",
        drawn,
        sigmoid(BEFORE.logits(drawn.x, drawn.group)),
        predictable=_without_x0(BEFORE, drawn, hidden, 0.0),
        columns={"x0": np.where(hidden, np.nan, drawn.x[:, 0])},
        description="A sensor fails for three to seven days, eight times: 70% of x0 is missing then.",
    )
