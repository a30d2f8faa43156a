"""The steps of a replay: when the first model is trained, and when the loop decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops.config.durations import format_duration
from mlops.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from mlops.config.params import TrainParams


__all__ = ["edges_of"]


def edges_of(
    times: pd.Series[Any], rule: TrainParams, *, start: datetime | None, step: timedelta, delay: timedelta
) -> list[datetime]:
    """Return when the first model is trained, and the ends of the steps after it.

    Parameters
    ----------
    times
        The event times of the history, in order.
    start
        When the first model is trained; default: once the history holds its window, gap and holdout, and
        their labels have come.
    delay
        How long a label takes.

    Raises
    ------
    UsageError
        The step is no time.
    DataError
        The history ends before the first step begins.
    """
    if step <= timedelta(0):
        raise UsageError("--step must be longer than nothing.", remedy="Write it as 7d or 12h.")
    oldest, newest = times.min().to_pydatetime(), times.max().to_pydatetime()
    if start is None:
        needed = rule.window + rule.gap + rule.holdout + delay
        start = times.min().floor("D").to_pydatetime() + needed
        if start > newest - step:
            raise DataError(
                f"The history reaches from {oldest:%Y-%m-%d} to {newest:%Y-%m-%d}: too short for a first "
                f"model and one step. train.window, train.gap, train.holdout and the labels' delay "
                f"take {format_duration(needed)}, a step {format_duration(step)}.",
                remedy="Add older rows with `mlops ingest FILE`, shorten train.window or train.holdout in "
                "params.yaml, or pass --start and --step.",
            )
    if not oldest < start <= newest:
        raise DataError(
            f"--start {start:%Y-%m-%d %H:%M} is not within the history, {oldest:%Y-%m-%d} to "
            f"{newest:%Y-%m-%d}.",
            remedy="Pass a time with rows before and after it.",
        )
    edges = [start]
    while edges[-1] <= newest:
        edges.append(edges[-1] + step)
    return edges
