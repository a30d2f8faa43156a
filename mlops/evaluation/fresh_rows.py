"""Rows that are new to the champion: only these compare it with a challenger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.config.durations import format_duration
from mlops.errors import NotFreshError
from mlops.stats.blocks import blocks_of
from mlops.tables.row_hashes import row_hashes

if TYPE_CHECKING:
    import pandas as pd

    from mlops.config.params import GateParams
    from mlops.schema import Schema

__all__ = ["Freshness", "freshness", "not_fresh"]


@dataclass(frozen=True)
class Freshness:
    """Which rows are new to the champion, and whether they can decide.

    Parameters
    ----------
    rows
        Shape (n_rows,): whether each row is new.
    count, blocks
        How many are, and in how many blocks of time.
    enough
        Whether that is what ``gate.min_rows`` and ``gate.min_blocks`` ask for.
    """

    rows: NDArray[np.bool_]
    count: int
    blocks: int
    enough: bool


def freshness(
    rows: pd.DataFrame,
    schema: Schema,
    policy: GateParams,
    *,
    fitted_until: datetime | None,
    gap: timedelta,
    fitted_rows: NDArray[Any] | None = None,
) -> Freshness:
    """Return which rows the champion was not fitted on, with a gap between where there is a time.

    Parameters
    ----------
    fitted_until
        The end of the rows that the champion was fitted on; None where it had no time column.
    fitted_rows
        Without that: the `row_hashes` of what it was fitted on.
    """
    if schema.time is not None and fitted_until is not None:
        new = (rows[schema.time] >= fitted_until + gap).to_numpy()
    elif fitted_rows is not None:
        new = ~np.isin(row_hashes(rows, schema), fitted_rows)
    else:  # nothing tells which rows the champion knows
        new = np.zeros(len(rows), bool)
    blocks = len(np.unique(blocks_of(rows[new], schema, policy.block)))
    count = int(new.sum())
    return Freshness(new, count, blocks, count >= policy.min_rows and blocks >= policy.min_blocks)


def not_fresh(
    fresh: Freshness, policy: GateParams, *, version: str, fitted_until: datetime | None, gap: timedelta
) -> NotFreshError:
    """Return the error that too few rows are new to the champion, to be raised before anything is fitted.

    Parameters
    ----------
    version
        The champion's.
    """
    known = "was fitted on the others;"
    if fitted_until is not None:
        known = (
            f"was fitted on rows up to {fitted_until:%Y-%m-%d %H:%M} UTC; "
            f"after that and train.gap ({format_duration(gap)})"
        )
    return NotFreshError(
        f"Nothing was trained: too few rows are new to the champion to compare on. Version {version} {known} "
        f"{fresh.count:,} rows in {fresh.blocks:,} blocks of time have their label; gate.min_rows is "
        f"{policy.min_rows:,}, gate.min_blocks {policy.min_blocks}.",
        remedy="Add newer rows with labels, or measure without promoting: `mlops train --set KEY=VALUE`.",
    )
