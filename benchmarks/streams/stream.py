"""A stream: labelled rows in the order of their event time, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from mlops.schema import Schema
from mlops.tables.conform import conform, in_order

__all__ = ["DAY", "KEY", "TIME", "Change", "Spans", "Stream", "UnavailableError", "as_stream", "spans"]

TIME, KEY = "at", "key"
DAY = timedelta(days=1)
STEPS = tuple(days * DAY for days in (7, 30, 90, 180, 365))
ROWS_OF_A_STEP, MOST_STEPS = 500, 40

Array = np.ndarray[Any, np.dtype[Any]]


class UnavailableError(Exception):
    """A stream's data is not on this machine; the message names the way to get it."""


@dataclass(frozen=True)
class Change:
    """A change of how the rows are generated, in event time: at once, or from `at` to `until`.

    Parameters
    ----------
    kind
        ``covariates``: P(features) alone; ``concept``: P(target | features) alone; ``both``; ``unit``: a
        column is recorded in another unit, and nothing else changes.
    """

    at: datetime
    until: datetime
    kind: Literal["covariates", "concept", "both", "unit"]


@dataclass(frozen=True)
class Spans:
    """The settings of the loop that a stream is judged with."""

    step: timedelta
    window: timedelta
    holdout: timedelta
    gap: timedelta

    @property
    def history(self) -> timedelta:
        """How far back the first model reaches: its window, the gap and the holdout."""
        return self.window + self.gap + self.holdout


def spans(times: pd.Series[Any], label_delay: timedelta, history: timedelta | None = None) -> Spans:
    """Return the settings of any stream: the one rule, which knows no names.

    The step is the shortest of a week, 30, 90, 180 and 365 days that holds 500 rows on average and cuts the
    stream into at most 40 steps. The holdout is one step, the gap the label delay, the window three steps;
    but where a stream comes with a history, the window is what holdout and gap leave of it.
    """
    length = times.max() - times.min()
    long_enough = [
        step
        for step in STEPS
        if len(times) * (step / length) >= ROWS_OF_A_STEP and length / step <= MOST_STEPS
    ]
    step = long_enough[0] if long_enough else STEPS[-1]
    window = 3 * step if history is None else history - step - label_delay
    return Spans(step=step, window=window, holdout=step, gap=label_delay)


@dataclass(frozen=True, eq=False)
class Stream:
    """Labelled rows to judge retraining policies on.

    Parameters
    ----------
    rows
        Conformed to `schema`, in the order of their event time: its column is ``at``, UTC; the unique
        key's is ``key``. No label is missing.
    features
        Name to feature type, in the order the model sees them.
    label_delay
        How long after its event time a row's label is known.
    description
        What a person who knows the data would say of it.
    spans
        Step, window, holdout and gap: by one rule for all streams.
    changes
        When the generating process changes; empty where it does not, or where nobody knows.
    bayes_loss
        Of each row, the default loss of the best prediction that the row's features and its event time
        allow, shape (n_rows,); None where the process is unknown.
    """

    name: str
    rows: pd.DataFrame
    features: Mapping[str, str]
    target: str
    task: str
    label_delay: timedelta
    description: str
    spans: Spans
    changes: tuple[Change, ...] = ()
    bayes_loss: Array | None = None

    @property
    def schema(self) -> Schema:
        """The project's schema of the rows."""
        return Schema(self.features, self.target, self.task, time=TIME, key=KEY)

    @property
    def step(self) -> timedelta:
        """How often a policy decides."""
        return self.spans.step

    @property
    def first_step(self) -> datetime:
        """When the first model is trained: its history has passed."""
        start: datetime = self.rows[TIME].iloc[0].floor("D").to_pydatetime()
        return start + self.spans.history


def as_stream(
    name: str,
    frame: pd.DataFrame,
    features: Mapping[str, str],
    *,
    target: str,
    task: str,
    label_delay: timedelta = DAY,
    description: str,
    history: timedelta | None = None,
    changes: tuple[Change, ...] = (),
    bayes_loss: Array | None = None,
) -> Stream:
    """Return a table as a stream: conformed, in order, with the settings that the rule gives.

    Raises
    ------
    ValueError
        A key occurs twice, or a label is missing.
    """
    schema = Schema(features, target, task, time=TIME, key=KEY)
    plain = conform(frame.reset_index(drop=True), schema)
    ordered = in_order(plain, schema)
    order, rows = ordered.index.to_numpy(), ordered.reset_index(drop=True)
    if rows[KEY].duplicated().any() or rows[target].isna().any():
        raise ValueError(f"{name}: each row needs a key of its own and a label")
    return Stream(
        name=name,
        rows=rows,
        features=schema.features,
        target=target,
        task=task,
        label_delay=label_delay,
        description=description,
        spans=spans(rows[TIME], label_delay, history),
        changes=changes,
        bayes_loss=None if bayes_loss is None else bayes_loss[order],
    )
