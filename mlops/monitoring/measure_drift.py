"""Two tables compared column by column, as a window is compared with its reference: for people."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from mlops.config.params import MonitorParams
from mlops.errors import MissingColumnError, UnusableValueError, UsageError
from mlops.feature_types.cells import spelled
from mlops.monitoring.drift import column_verdicts
from mlops.tables.conform import typed

if TYPE_CHECKING:
    from mlops.schema import Schema

__all__ = ["measure_drift"]


def measure_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
    *,
    alpha: float = 0.05,
    min_effect: float = 0.1,
    min_rows: int = 500,
    block: timedelta = timedelta(days=1),
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two tables, column by column: has a feature's distribution moved?

    The computation of `mlops monitor`, without its windows. The statistic of a number is the area between
    the two distribution functions, of values as robust spreads (interquartile range over 1.349) from the
    reference's median, clipped at 5; of a category or a boolean the Jensen-Shannon distance (Lin 1991), the
    square root of the divergence in nats; of text the former, of the number of words. A far number that
    repeats exactly, as 999, is a sentinel: it counts as missing, and the note names it. The threshold is what
    chance alone exceeds in `alpha` of the tables, over all columns together (Bonferroni), estimated by
    resampling the reference's blocks of time, widened by how much neighbouring blocks resemble each other,
    and never less than `min_effect`.

    Parameters
    ----------
    reference, current
        Shape (n_rows, n_columns): the features of `schema`, nulls allowed; dates are left out, for they
        move on by themselves. Where both hold what `predict` returns, it is compared, too: the
        ``score`` of a binary task, else the ``prediction``.
    schema
        Where both tables have its time column, blocks are made of that, else of its key; without
        either, every row is a block.
    alpha
        Accepted rate of false alarms, over all columns together.
    min_effect
        A statistic up to this is never drift, however significant; in the statistic's unit.
    min_rows
        Rows that `current` needs, at least 30; with fewer every column is ``insufficient``.
    block
        Rows within one block of time belong together.

    Returns
    -------
    DataFrame
        A row per column, which is the index. ``statistic``: its name; ``value``, ``threshold``: in its
        unit, NaN where nothing could be computed; ``verdict``: ``ok``, ``drift``, ``insufficient`` or
        ``invalid``; ``note``: why it is one of the last two, and what else is striking.

    Raises
    ------
    mlops.errors.MissingColumnError
        The reference lacks a feature. In `current` that is the verdict ``invalid``.
    mlops.errors.UnusableValueError
        A value of the reference cannot be used; its column and row are named.
    mlops.errors.UsageError
        A setting is out of range.

    Notes
    -----
    Long on purpose: most of it is this documentation.

    Examples
    --------
    >>> import numpy as np, pandas as pd, mlops
    >>> schema = mlops.Schema({"size": "number", "colour": "category"}, target="ripe", task="binary")
    >>> rng = np.random.default_rng(0)
    >>> def plums(size):
    ...     colour = rng.choice(["red", "blue"], 1000)
    ...     return pd.DataFrame({"size": rng.normal(size, 1, 1000), "colour": colour})
    >>> drift = mlops.measure_drift(plums(4), plums(5), schema)
    >>> drift["verdict"].to_dict()
    {'size': 'drift', 'colour': 'ok'}
    >>> float(round(drift.loc["size", "value"], 1))
    1.0
    """
    policy = _policy(alpha=alpha, min_effect=min_effect, min_rows=min_rows)
    if missing := [name for name in schema.features if name != schema.time and name not in reference]:
        have = [str(name) for name in reference.columns]
        raise MissingColumnError(
            missing, have=have, where="The reference", remedy="Add it, or leave it out of the schema."
        )
    known = _shared(reference, current, schema)
    watched = schema.task_type.watched_column
    predicted = watched if watched in reference and watched in current else None
    before = _table(reference, known, predicted, strict=True)
    verdicts = column_verdicts(
        before,
        before if predicted else None,
        _table(current, known, predicted, strict=False),
        known,
        policy=policy,
        block=block,
        seed=seed,
    )
    columns = ["column", "statistic", "value", "threshold", "verdict", "note"]
    frame = pd.DataFrame([asdict(verdict) for verdict in verdicts], columns=columns)
    return frame.astype({"value": float, "threshold": float}).set_index("column")


def _policy(**settings: float) -> MonitorParams:
    try:
        return MonitorParams.model_validate(settings)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = first["loc"][0]
        allowed = first["msg"].removeprefix("Input should be ")
        raise UsageError(f"{name} is {first['input']!r}, allowed: {allowed}.") from exc


def _shared(reference: pd.DataFrame, current: pd.DataFrame, schema: Schema) -> Schema:
    """Return the schema with the time and the key that both tables have."""

    def both(name: str | None) -> str | None:
        return name if name in reference and name in current else None

    return replace(schema, time=both(schema.time), key=both(schema.key))


def _table(frame: pd.DataFrame, schema: Schema, predicted: str | None, *, strict: bool) -> pd.DataFrame:
    """Return the columns that are compared, and those that blocks are made of, as ingestion reads them.

    Unless `strict`, a feature with unusable values stays as it is, for its verdict is that.
    """
    columns: dict[str, Any] = {}
    for name in schema.features:
        if name in frame:
            try:
                columns[name] = typed(frame[name], schema)
            except UnusableValueError:
                if strict:
                    raise
                columns[name] = frame[name]
    if schema.time is not None:
        columns[schema.time] = typed(frame[schema.time], schema)
    if schema.key is not None:
        columns[schema.key] = frame[schema.key]
    if predicted is not None:
        values = frame[predicted]
        columns["prediction"] = values.map(spelled) if schema.task_type.watched_type.is_text else values
    return pd.DataFrame(columns, index=frame.index)
