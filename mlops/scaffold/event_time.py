"""When a row's event was: the column that tells it, or the columns that do together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.errors import UsageError, shown
from mlops.feature_types import DATE
from mlops.moments import to_times
from mlops.scaffold.columns import ColumnProfile
from mlops.scaffold.far_dates import LAST_YEAR, far_dates, named_far
from mlops.scaffold.profile_options import ProfileOptions
from mlops.scaffold.spread_time import SpreadTime, spread_time
from mlops.scaffold.written_columns import WrittenColumns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EventTime", "event_time"]

_TIME = re.compile(
    r"(^|[_\s.-])(time|timestamp|datetime|date|ts|at|on|hour|day|month|week|when)($|[_\s.-])", re.I
)
_NOT_TIME = re.compile(r"birth|dob|due|deadline|expir|until|end", re.IGNORECASE)


@dataclass(frozen=True)
class EventTime:
    """The event time of a table.

    Parameters
    ----------
    column
        None where there is none.
    spread
        How it is made, where the table has it in several columns.
    notes
        What a person should know of it, a sentence each.
    """

    column: str | None
    spread: SpreadTime | None = None
    notes: tuple[str, ...] = ()

    def of(self, written: WrittenColumns) -> WrittenColumns:
        """Return how the columns are written, this one among them."""
        if self.column is not None:  # without which a row is of no use, whatever word stands for it
            written = written.without_missing(self.column)
        if self.spread is None or self.spread.format is None:
            return written
        return written.with_format(self.spread.name, self.spread.format)


def event_time(
    sample: pd.DataFrame,
    raw: pd.DataFrame,
    columns: Mapping[str, ColumnProfile],
    options: ProfileOptions,
    written: WrittenColumns,
) -> EventTime:
    """Return the event time that a person names, or that the columns' names and values leave no doubt of.

    Parameters
    ----------
    sample, raw
        Rows from all of the table, as they are read and as they are written.

    Raises
    ------
    UsageError
        The column that a person names holds no times, or a row has none.
    """
    if options.time is not None:
        doubt = written.doubt(options.time)
        _refuse_no_time(sample[options.time], raw[options.time], columns[options.time], doubt)
        if _is_endless(sample[options.time]):
            far = far_dates(sample[options.time], raw[options.time])
            raise UsageError(
                f"--time: {options.time} holds {shown(list(far))}, when no event was.",
                remedy="Give those rows their time or leave them out, or leave --time out.",
            )
        return EventTime(options.time, notes=_far(options.time, sample, raw))
    dates = [
        name
        for name, column in columns.items()
        if column.type is DATE and not _NOT_TIME.search(name)
        and name not in options.exclude and raw[name].notna().all() and sample[name].nunique() > 1
    ]  # fmt: skip
    endless = [name for name in dates if _is_endless(sample[name])]
    dates = [name for name in dates if name not in endless]
    fitting = [name for name in dates if _TIME.search(name)]
    if len(fitting) == 1:
        note = f"{fitting[0]} is the event time: windows of training and monitoring run on it."
        return EventTime(fitting[0], notes=(note, *_far(fitting[0], sample, raw)))
    if dates:
        what = f"{dates[0]} holds" if len(dates) == 1 else f"{shown(dates)} hold"
        return EventTime(
            None, notes=(f"{what} dates: where one tells when a row's event was, name it with --time.",)
        )
    spread = spread_time(sample, without=[options.target, *options.exclude, *filter(None, [options.key])])
    if spread is None:
        return EventTime(None)
    made = spread if spread.format is not None else None
    return EventTime(spread.name if made else None, made, (spread.sentence,))


def _refuse_no_time(column: pd.Series[Any], raw: pd.Series[Any], profile: ColumnProfile, doubt: str) -> None:
    if profile.type is not DATE:
        if doubt:
            raise UsageError(
                f"--time: {doubt}", remedy="To init a format is named by --format COLUMN=FORMAT."
            )
        example = column.dropna().head(1).tolist()
        raise UsageError(
            f"--time: {column.name} holds {shown(example) or 'nothing'}, which is no known time.",
            remedy="Write times as 2013-07-04T15:00:00Z or 2013-07-04, or leave --time out.",
        )
    if missing := int(raw.isna().sum()):
        raise UsageError(
            f"--time: {column.name} is missing in {missing:,} rows of the sample.",
            remedy="Every row needs its time: leave those rows out, or leave --time out.",
        )


def _is_endless(column: pd.Series[Any]) -> bool:
    """Return whether a column has times that no event has, as 9999-12-31: no window may reach there."""
    return bool((to_times(column).dt.year >= LAST_YEAR).any())


def _far(name: str, sample: pd.DataFrame, raw: pd.DataFrame) -> tuple[str, ...]:
    """Return that some of the times are none; a window reaches to the last."""
    far = far_dates(sample[name], raw[name])
    return (f"{named_far(name, far)} Until then windows reach as far as that.",) if far else ()
