"""Which rows are fitted and which are held out, and how the former are parted for a search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops.errors import EmptyWindowError
from mlops.moments import after
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Split", "folds", "split"]


@dataclass(frozen=True)
class Split:
    """Two disjoint parts of a table.

    Parameters
    ----------
    train_start, train_end, holdout_start, holdout_end
        The windows of the fitted and of the held-out rows, half-open as every window; None without event
        time.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    train_start: datetime | None = None
    train_end: datetime | None = None
    holdout_start: datetime | None = None
    holdout_end: datetime | None = None


def split(
    frame: pd.DataFrame, schema: Schema, *, window: timedelta, holdout: timedelta, gap: timedelta
) -> Split:
    """Hold out the newest rows and fit the window before them, with a gap between.

    Without event time there is no newest row: a stable hash of the key (of the whole row
    without a key) holds out the share holdout / (window + holdout), and a row stays on its
    side as others are added.

    Raises
    ------
    EmptyWindowError
        A part would hold no row.
    """
    if schema.time is None:
        return _by_hash(frame, schema, holdout / (window + holdout))
    times = frame[schema.time]
    if times.empty:
        raise EmptyWindowError(
            "There are no labelled rows to split.", remedy="Add some: `mlops ingest FILE`."
        )
    newest = times.max()
    start = newest - holdout
    train_end = start - gap
    train_start = train_end - window
    train = frame[(times >= train_start) & (times < train_end)]
    held = frame[times >= start]
    if train.empty:
        raise EmptyWindowError(
            f"No row lies between {train_start:%Y-%m-%d %H:%M} and {train_end:%Y-%m-%d %H:%M} UTC, "
            f"where those to fit are taken; the rows reach from {times.min():%Y-%m-%d} to {newest:%Y-%m-%d}.",
            remedy="Add older rows, or shorten train.holdout or train.gap in params.yaml.",
        )
    return Split(
        train.reset_index(drop=True),
        held.reset_index(drop=True),
        train_start.to_pydatetime(),
        train_end.to_pydatetime(),
        start.to_pydatetime(),
        after(newest.to_pydatetime()),
    )


def folds(
    frame: pd.DataFrame, schema: Schema, *, count: int, gap: timedelta
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Part the rows to fit `count` times into some to fit and newer ones to measure on.

    By event time the rows are cut into ``count + 1`` stretches of as many rows; each but the first
    is measured on once, and all rows before it, less the gap, are fitted. Without event time each
    row is measured on once, by a stable hash of its key, and the others are fitted.

    Raises
    ------
    EmptyWindowError
        A part would hold no row.
    """
    if schema.time is None:
        number = _hashed(frame, schema) % count
        parts = [(frame[number != fold], frame[number == fold]) for fold in range(count)]
    else:
        times = frame[schema.time]
        ordered = times.sort_values(ignore_index=True)
        cuts = [ordered.iloc[len(ordered) * cut // (count + 1)] for cut in range(1, count + 1)]
        ends = [*cuts[1:], None]
        parts = [
            (frame[times < cut - gap], frame[(times >= cut) & (True if end is None else times < end)])
            for cut, end in zip(cuts, ends, strict=True)
        ]
    if any(fitted.empty or measured.empty for fitted, measured in parts):
        raise EmptyWindowError(
            f"{len(frame)} rows to fit are too few, or lie too close in time, for {count} folds"
            + (f" with {gap.total_seconds() / 3600:g} h between." if schema.time else "."),
            remedy="Add rows, or lower model.search.folds or train.gap in params.yaml.",
        )
    return parts


def _by_hash(frame: pd.DataFrame, schema: Schema, share: float) -> Split:
    drawn = _hashed(frame, schema) / 2.0**64
    train, held = frame[drawn >= share], frame[drawn < share]
    if train.empty or held.empty:
        raise EmptyWindowError(
            f"{len(frame)} rows are too few to hold out {share:.0%} of them.",
            remedy="Add rows, or change train.window and train.holdout in params.yaml: their ratio counts.",
        )
    return Split(train.reset_index(drop=True), held.reset_index(drop=True))


def _hashed(frame: pd.DataFrame, schema: Schema) -> pd.Series[Any]:
    """Return for each row a whole number below 2^64, of its key, or of its features without one."""
    import pandas as pd

    named = frame[schema.key] if schema.key else frame[list(schema.features)]
    # pandas' hash of values: fixed by its own key, the same in every process.
    return pd.util.hash_pandas_object(named, index=False)
