"""Made streams whose generating process changes, and those where nothing does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .generator import (
    AFTER,
    BEFORE,
    CHANGE_DAY,
    DAYS,
    GROUPS,
    Draw,
    Truth,
    binary,
    change,
    draw,
    multiclass,
    regression,
    sigmoid,
)
from .stream import DAY, Array, Stream

__all__ = [
    "RECURRING_DAYS",
    "SHIFT",
    "abrupt",
    "abrupt_multiclass",
    "abrupt_regression",
    "covariate_only",
    "gradual",
    "label_only",
    "labels_late",
    "new_category",
    "none",
    "rare_positives",
    "rare_positives_abrupt",
    "recurring",
]

SHIFT = (1.0, 0.0, 0.0, 0.7)
GRADUAL_DAYS = (240, 360)
RECURRING_DAYS = (177, 277, 377, 477)
RARE_ROWS_OF_A_DAY = 300


def _probability(drawn: Draw, changed: Array | bool) -> Array:
    old, new = (truth.logits(drawn.x, drawn.group) for truth in (BEFORE, AFTER))
    return sigmoid(np.where(changed, new, old))


def none(seed: int) -> Stream:
    """Nothing changes."""
    drawn = draw("none", seed)
    return binary("none", drawn, _probability(drawn, False), description="Nothing changes.")


def _both(name: str, drawn: Draw, changed: Array, **facts: object) -> Stream:
    moved = drawn.shifted(changed, *SHIFT)
    return binary(name, moved, _probability(moved, changed), **facts)


def abrupt(seed: int) -> Stream:
    """Features and concept change from one day to the next."""
    drawn = draw("abrupt", seed)
    description = "Another population, and other causes, from one day to the next."
    changed = drawn.day >= CHANGE_DAY
    return _both("abrupt", drawn, changed, description=description, changes=(change("both"),))


def gradual(seed: int) -> Stream:
    """The share of rows of the new regime rises from none to all over 120 days."""
    drawn = draw("gradual", seed)
    start, end = GRADUAL_DAYS
    share = np.clip((drawn.day - start) / (end - start), 0.0, 1.0)
    changed = drawn.rng.random(len(share)) < share
    # Which regime a row is of shows in no column: the best prediction weighs both by their densities.
    moved = drawn.shifted(changed, *SHIFT)
    shift = np.asarray(SHIFT)
    ratio = np.exp(moved.x @ shift - 0.5 * shift @ shift)
    new = share * ratio / (share * ratio + 1.0 - share)
    predictable = new * _probability(moved, True) + (1.0 - new) * _probability(moved, False)
    return binary(
        "gradual",
        moved,
        _probability(moved, changed),
        predictable=predictable,
        description="Another population with other causes replaces the first over 120 days.",
        changes=(change("both", start, end),),
    )


def recurring(seed: int) -> Stream:
    """Two regimes take turns."""
    drawn = draw("recurring", seed)
    changed = np.searchsorted(RECURRING_DAYS, drawn.day, side="right") % 2 == 1
    changes = tuple(change("both", day) for day in RECURRING_DAYS)
    description = "Two regimes take turns of 100 days."
    return _both("recurring", drawn, changed, description=description, changes=changes)


def covariate_only(seed: int) -> Stream:
    """The features move, the concept stays."""
    drawn = draw("covariate_only", seed)
    moved = drawn.shifted(drawn.day >= CHANGE_DAY, 1.5, 1.5, 0.0, 0.7)
    return binary(
        "covariate_only",
        moved,
        _probability(moved, False),
        description="Another population, of which the same causes hold.",
        changes=(change("covariates"),),
    )


def label_only(seed: int) -> Stream:
    """The concept changes, the features show nothing."""
    drawn = draw("label_only", seed)
    return binary(
        "label_only",
        drawn,
        _probability(drawn, drawn.day >= CHANGE_DAY),
        description="Other causes from one day to the next; no feature's distribution shows it.",
        changes=(change("concept"),),
    )


def abrupt_regression(seed: int) -> Stream:
    """As abrupt, of a number."""
    drawn = draw("abrupt_regression", seed)
    changed = drawn.day >= CHANGE_DAY
    moved = drawn.shifted(changed, *SHIFT)
    mean = np.where(changed, *(truth.logits(moved.x, moved.group) for truth in (AFTER, BEFORE)))
    return regression(
        "abrupt_regression",
        moved,
        20.0 + 4.0 * mean,
        lambda rng, rows: rng.normal(scale=4.0, size=rows),
        description="A number; another population, and other causes, from one day to the next.",
        changes=(change("both"),),
    )


def abrupt_multiclass(seed: int) -> Stream:
    """As abrupt, of three labels."""
    drawn = draw("abrupt_multiclass", seed, rows_of_a_day=100)
    changed = drawn.day >= CHANGE_DAY
    moved = drawn.shifted(changed, *SHIFT)
    first = np.where(changed, *(truth.logits(moved.x, moved.group) for truth in (AFTER, BEFORE)))
    second = np.where(changed, 1.0, -0.6) * moved.x[:, 2] + 0.5 * moved.x[:, 1]
    return multiclass(
        "abrupt_multiclass",
        moved,
        np.column_stack([first, second, np.zeros(len(first))]),
        ("kept", "returned", "exchanged"),
        description="Three labels; another population, and other causes, from one day to the next.",
        changes=(change("both"),),
    )


def new_category(seed: int) -> Stream:
    """A category that nobody has seen becomes the majority, with a level of its own."""
    drawn = draw("new_category", seed)
    joined = (drawn.day >= CHANGE_DAY) & (drawn.rng.random(len(drawn.day)) < 0.6)
    truth = replace(BEFORE, of_group=(*BEFORE.of_group, 1.8))
    group = np.where(joined, len(GROUPS), drawn.group)
    return binary(
        "new_category",
        drawn,
        sigmoid(truth.logits(drawn.x, group)),
        columns={"group": np.asarray((*GROUPS, "west"), dtype=object)[group]},
        description="A new region opens and brings 60% of the rows.",
        changes=(change("covariates"),),
    )


def _rare(truth: Truth, intercept: float) -> Truth:
    return replace(truth, intercept=intercept)


def _rare_positives(name: str, seed: int, changes_at: float, **facts: object) -> Stream:
    drawn = draw(name, seed, rows_of_a_day=RARE_ROWS_OF_A_DAY)
    # Intercepts that make 1% of the labels true, before and after.
    old, new = (truth.logits(drawn.x, drawn.group) for truth in (_rare(BEFORE, -5.72), _rare(AFTER, -5.67)))
    return binary(name, drawn, sigmoid(np.where(drawn.day >= changes_at, new, old)), **facts)


def rare_positives(seed: int) -> Stream:
    """One label in a hundred is true; nothing changes."""
    description = "One label in a hundred is true; nothing changes."
    return _rare_positives("rare_positives", seed, DAYS, description=description)


def rare_positives_abrupt(seed: int) -> Stream:
    """One label in a hundred is true; the concept changes, their share does not."""
    return _rare_positives(
        "rare_positives_abrupt",
        seed,
        CHANGE_DAY,
        description="One label in a hundred is true; other causes from one day to the next.",
        changes=(change("concept"),),
    )


def labels_late(days: int, seed: int) -> Stream:
    """As abrupt, with labels that come late."""
    name = f"labels_late_{days}"
    drawn = draw(name, seed)
    return _both(
        name,
        drawn,
        drawn.day >= CHANGE_DAY,
        label_delay=days * DAY,
        description=f"As abrupt; a label is known {days} days after its row.",
        changes=(change("both"),),
    )
