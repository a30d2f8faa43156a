"""Which rows are fitted and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops.errors import EmptyWindowError
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Split", "split"]


@dataclass(frozen=True)
class Split:
    """Two disjoint parts of a table.

    Parameters
    ----------
    train_start, train_end
        The fitted rows' window, half-open; None without event time.
    holdout_start, holdout_end
        The held-out rows' window; its end is the newest row and belongs to it.
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
    end = times.max()
    start = end - holdout
    train_end = start - gap
    train_start = train_end - window
    train = frame[(times >= train_start) & (times < train_end)]
    held = frame[times >= start]
    if train.empty:
        raise EmptyWindowError(
            f"No row lies between {train_start:%Y-%m-%d %H:%M} and {train_end:%Y-%m-%d %H:%M} UTC, "
            f"where those to fit are taken; the rows reach from {times.min():%Y-%m-%d} to {end:%Y-%m-%d}.",
            remedy="Add older rows, or shorten train.holdout or train.gap in params.yaml.",
        )
    return Split(
        train.reset_index(drop=True),
        held.reset_index(drop=True),
        train_start.to_pydatetime(),
        train_end.to_pydatetime(),
        start.to_pydatetime(),
        end.to_pydatetime(),
    )


def _by_hash(frame: pd.DataFrame, schema: Schema, share: float) -> Split:
    import pandas as pd

    hashed = frame[schema.key] if schema.key else frame[list(schema.features)]
    # pandas' hash of values: fixed by its own key, the same in every process.
    drawn = pd.util.hash_pandas_object(hashed, index=False) / 2.0**64
    train, held = frame[drawn >= share], frame[drawn < share]
    if train.empty or held.empty:
        raise EmptyWindowError(
            f"{len(frame)} rows are too few to hold out {share:.0%} of them.",
            remedy="Add rows, or change train.window and train.holdout in params.yaml: their ratio counts.",
        )
    return Split(train.reset_index(drop=True), held.reset_index(drop=True))
