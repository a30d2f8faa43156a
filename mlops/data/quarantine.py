"""The rows that the contract kept out of the lake: which wait, and the files that hold them.

The ledger says which rows of a file were quarantined and which of them were taken back; no file is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.ledger.entry import Entry
    from mlops.ledger.records import BadRows, BiasedQuarantine, DataVersioned

__all__ = ["ROW", "QuarantinedBatch", "QuarantinedRow", "batches", "read_rows"]

ROW = "quarantine_row"
"""The column of an exported table that names a row: the batch, a colon, the row's number."""


@dataclass(frozen=True)
class QuarantinedBatch:
    """The quarantined rows of one file.

    Parameters
    ----------
    name
        Of the file that holds them, without its suffix.
    file
        That file, below the project's root.
    table
        The file that they came in, as a person called it.
    at
        When it was ingested, UTC.
    rows, returned
        How many were quarantined, and the numbers of those taken back since; the first is 1.
    reasons, biases
        What the ledger says of them.
    """

    name: str
    file: str
    table: str
    at: datetime
    rows: int
    reasons: tuple[BadRows, ...]
    biases: tuple[BiasedQuarantine, ...]
    returned: frozenset[int] = frozenset()

    @property
    def waiting(self) -> int:
        """How many are still there."""
        return self.rows - len(self.returned)


@dataclass(frozen=True)
class QuarantinedRow:
    """One row, as it came.

    Parameters
    ----------
    reason
        What was wrong with it.
    """

    batch: str
    number: int
    values: Mapping[str, Any]
    reason: str

    @property
    def name(self) -> str:
        """What an exported table calls it."""
        return f"{self.batch}:{self.number}"

    def breaks(self, column: str, rule: str = "") -> bool:
        """Return whether a column is among what was wrong, and by a rule of this wording."""
        of_column = any(part.startswith(f"{column}:") for part in self.reason.split("; "))
        return of_column and (not rule or f" is {rule}" in self.reason)


def batches(entries: Iterable[Entry[DataVersioned]]) -> list[QuarantinedBatch]:
    """Return the batches with rows that wait, oldest first.

    Parameters
    ----------
    entries
        All versions of the data, oldest first. A file that was ingested again, under another contract, has
        the rows that were bad the last time.
    """
    waiting: dict[str, QuarantinedBatch] = {}
    returned: dict[str, set[int]] = {}
    for entry in entries:
        for file in entry.record.files:
            waiting.pop(file.sha256, None)
            if file.quarantine is not None:
                returned[file.quarantine] = set()
                waiting[file.sha256] = QuarantinedBatch(
                    Path(file.quarantine).stem, file.quarantine, file.name, entry.recorded_at,
                    file.quarantined, file.reasons, file.biases,
                )  # fmt: skip
            for back in file.returned:
                returned.setdefault(back.quarantine, set()).update(back.rows)
    known = [replace(batch, returned=frozenset(returned[batch.file])) for batch in waiting.values()]
    return [batch for batch in known if batch.waiting]


def read_rows(root: Path, chosen: Sequence[QuarantinedBatch]) -> Iterator[QuarantinedRow]:
    """Read the rows of batches that wait; those of a file that was deleted, or is elsewhere, are none."""
    from mlops.data.validation import REASON

    for batch in chosen:
        file = root / batch.file
        if not file.is_file():
            continue
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if number in batch.returned:
                    continue
                values = json.loads(line)
                reason = next(name for name in reversed(values) if name.lstrip("_") == REASON)
                yield QuarantinedRow(batch.name, number, values, values.pop(reason))
