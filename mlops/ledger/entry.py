"""A row of the ledger: a record, when it was made, and because of what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from mlops.ledger.record import Record

__all__ = ["Entry"]

R_co = TypeVar("R_co", bound=Record, covariant=True)


@dataclass(frozen=True)
class Entry(Generic[R_co]):
    """One row: what was decided or done, when, and because of what.

    Parameters
    ----------
    record
        The facts, typed by the kind of the row.
    recorded_at
        The wall clock, UTC.
    as_of
        The event time that the decision was made for, where there is one.
    cause
        The id of the row that made this one happen.
    key
        The idempotency key: no other row has it.
    """

    id: str
    record: R_co
    recorded_at: datetime
    as_of: datetime | None = None
    cause: str | None = None
    key: str | None = None

    @property
    def kind(self) -> str:
        """What the row records, such as ``model.promoted``."""
        return self.record.kind
