"""Made rows: what is drawn before their labels, the labels by a known probability, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal
from zlib import crc32

import numpy as np
import pandas as pd

from .stream import DAY, KEY, TIME, Array, Change, Stream, as_stream

__all__ = [
    "AFTER",
    "BEFORE",
    "CHANGE_DAY",
    "DAYS",
    "GROUPS",
    "Draw",
    "Truth",
    "binary",
    "change",
    "draw",
    "marginal",
    "moment",
    "sigmoid",
]

START = datetime(2022, 1, 1, tzinfo=UTC)
DAYS, ROWS_OF_A_DAY = 540, 150
CHANGE_DAY = 277  # not the first day of a step
NUMBERS, GROUPS = ("x0", "x1", "x2", "x3"), ("north", "south", "east")
FEATURES = dict.fromkeys(NUMBERS, "number") | {"group": "category"}
TARGET = "outcome"


def sigmoid(logits: Array) -> Array:
    """Return probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def marginal(logits: Array, deviation: Array | float) -> Array:
    """Return the mean of sigmoid(logits + N(0, deviation²)), by Gauss-Hermite quadrature of 20 nodes."""
    nodes, weights = np.polynomial.hermite.hermgauss(20)
    spread = np.sqrt(2.0) * np.asarray(deviation)
    terms = [weight * sigmoid(logits + spread * node) for node, weight in zip(nodes, weights, strict=True)]
    return np.asarray(np.sum(terms, axis=0) / np.sqrt(np.pi))


@dataclass(frozen=True)
class Truth:
    """How the logit of a row's label depends on its features: linear, but for x0 times x1."""

    weights: tuple[float, ...]
    of_group: tuple[float, ...]
    interaction: float
    intercept: float

    def logits(self, x: Array, group: Array) -> Array:
        """Return shape (n_rows,) of numbers of shape (n_rows, 4) and positions in the groups."""
        linear = x @ np.asarray(self.weights) + np.asarray(self.of_group)[group]
        return np.asarray(linear + self.interaction * x[:, 0] * x[:, 1] + self.intercept)


# A model of BEFORE loses some .3 nats on rows of AFTER.
BEFORE = Truth((1.2, -0.8, 0.5, 0.0), (0.4, -0.4, 0.0), 0.6, -0.5)
AFTER = Truth((-0.4, -0.8, 0.5, 1.0), (-0.4, 0.4, 0.6), -0.2, -0.2)


@dataclass(frozen=True)
class Draw:
    """Features before their labels: x of shape (n_rows, 4), positions in GROUPS, seconds since the start."""

    rng: np.random.Generator
    seconds: Array
    x: Array
    group: Array

    @cached_property
    def day(self) -> Array:
        """The day of each row, from 0."""
        return np.asarray(self.seconds // 86_400)

    @property
    def days(self) -> int:
        """How many days it covers."""
        return int(self.day[-1]) + 1

    def shifted(self, rows: Array, *by: float) -> Draw:
        """Return it with the numbers of some rows moved."""
        return replace(self, x=self.x + np.where(rows[:, None], np.asarray(by), 0.0))

    def columns(self) -> dict[str, Array]:
        """Return the features as a table has them."""
        numbers = {name: self.x[:, place] for place, name in enumerate(NUMBERS)}
        return {**numbers, "group": np.asarray(GROUPS, dtype=object)[self.group]}


def draw(name: str, seed: int, *, days: int = DAYS, rows_of_a_day: int = ROWS_OF_A_DAY) -> Draw:
    """Draw the features of a stream: each stream has random numbers of its own."""
    rng = np.random.default_rng([seed, crc32(name.encode())])
    seconds = np.sort(rng.integers(0, 86_400, size=(days, rows_of_a_day)), axis=1)
    seconds = (seconds + 86_400 * np.arange(days)[:, None]).ravel()
    shape = (len(seconds), len(NUMBERS))
    return Draw(rng, seconds, rng.normal(size=shape), rng.choice(3, size=len(seconds), p=(0.5, 0.3, 0.2)))


def moment(day: float) -> datetime:
    """Return a day's first moment."""
    return START + day * DAY


def change(
    kind: Literal["covariates", "concept", "both", "unit"],
    day: float = CHANGE_DAY,
    until: float | None = None,
) -> Change:
    """Return a change at once, or one from a day until another."""
    return Change(moment(day), moment(day if until is None else until), kind)


def labelled(
    name: str,
    drawn: Draw,
    target: Array,
    bayes_loss: Array,
    *,
    task: str,
    description: str,
    columns: Mapping[str, Array] | None = None,
    features: Mapping[str, str] = FEATURES,
    changes: tuple[Change, ...] = (),
    label_delay: timedelta = DAY,
    history: timedelta | None = None,
) -> Stream:
    """Return drawn rows with their labels as a stream; `columns` replace or join those drawn."""
    table = {**drawn.columns(), **(columns or {})}
    times = pd.Timestamp(START) + pd.to_timedelta(drawn.seconds, unit="s")
    keys = [f"r{place}" for place in range(len(times))]
    frame = pd.DataFrame({TIME: times, KEY: keys, **{name: table[name] for name in features}, TARGET: target})
    return as_stream(
        name,
        frame,
        features,
        target=TARGET,
        task=task,
        label_delay=label_delay,
        description=description,
        history=history,
        changes=changes,
        bayes_loss=bayes_loss,
    )


def binary(
    name: str, drawn: Draw, probability: Array, *, predictable: Array | None = None, **facts: Any
) -> Stream:
    """Return a stream whose labels are true by a probability.

    Parameters
    ----------
    predictable
        The probability that the features allow to predict, where they do not show everything.
    """
    target = drawn.rng.random(len(probability)) < probability
    best = probability if predictable is None else predictable
    loss = -np.log(np.where(target, best, 1.0 - best))
    return labelled(name, drawn, target, loss, task="binary", **facts)


def multiclass(name: str, drawn: Draw, logits: Array, labels: tuple[str, ...], **facts: Any) -> Stream:
    """Return a stream with labels by the softmax of logits, shape (n_rows, n_labels)."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    below = shares.cumsum(axis=1)[:, :-1] < drawn.rng.random(len(shares))[:, None]
    place = below.sum(axis=1)
    target = np.asarray(labels, dtype=object)[place]
    loss = -np.log(shares[np.arange(len(shares)), place])
    return labelled(name, drawn, target, loss, task="multiclass", **facts)


def regression(
    name: str, drawn: Draw, mean: Array, noise: Callable[[np.random.Generator, int], Array], **facts: Any
) -> Stream:
    """Return a stream with values around a mean, which is the best prediction by the squared error."""
    deviation = noise(drawn.rng, len(mean))
    return labelled(name, drawn, mean + deviation, deviation**2, task="regression", **facts)
