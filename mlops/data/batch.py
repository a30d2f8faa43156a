"""A table on its way into the lake: read in pieces, checked against the contract, staged."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mlops.data.constant_columns import ConstantColumns
from mlops.data.contract import Contract
from mlops.data.quarantine_bias import QuarantineBias
from mlops.data.validation import Inspection, Reason
from mlops.errors import DataError, shown
from mlops.feature_types.cells import jsonable
from mlops.schema import Schema
from mlops.tables import readers
from mlops.tables.conform import conform, in_order
from mlops.tables.file_formats import WrittenOtherwiseError
from mlops.tables.total_rows import TotalRows

if TYPE_CHECKING:
    import pandas as pd

    from mlops.data.staging import Staging

__all__ = ["Report", "examine"]

log = logging.getLogger("mlops")

_ROWS = 200_000
"""Rows held in memory at once, at most."""


@dataclass(frozen=True)
class Report:
    """The result of checking a table.

    Parameters
    ----------
    rows, bad
        Rows in it, and those of them that the contract keeps out.
    reasons
        Why rows are bad, the most frequent first.
    refusals
        Why the table as a whole is refused; empty where it is not.
    notes
        What a person should know and that refuses nothing.
    biases
        What bad rows have in common, where they are no random part of the table: an alarm.
    error
        What refuses it where no contract does.
    """

    name: str
    rows: int
    bad: int = 0
    reasons: tuple[Reason, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    biases: tuple[QuarantineBias, ...] = ()
    error: DataError | None = field(default=None, compare=False)

    @property
    def good(self) -> int:
        """Rows for the lake."""
        return self.rows - self.bad

    def text(self) -> str:
        """Return the report as text."""
        count = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        rows = f"{count}, {self.good:,} good, {self.bad:,} for quarantine"
        # One without its columns was not read to its end.
        lines = [f"{self.name}: {'refused' if self.refusals and not self.bad else rows}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  {bias}" for bias in self.biases]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"It would be refused: {refusal}" for refusal in self.refusals]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "rows": self.rows,
            "good": self.good,
            "bad": self.bad,
            "reasons": [asdict(reason) for reason in self.reasons],
            "biases": [{**asdict(bias.rows), "example": bias.example} for bias in self.biases],
            "notes": list(self.notes),
            "refusals": list(self.refusals),
        }


def examine(
    file: Path,
    name: str,
    schema: Schema,
    contract: Contract | None,
    *,
    now: datetime,
    staging: Staging | None = None,
    quarantine: IO[str] | None = None,
) -> Report:
    """Check a table in bounded memory; stage its good rows and quarantine its bad ones.

    Parameters
    ----------
    name
        What a person calls the table.
    contract
        Without one the first value that cannot be used refuses the table.
    staging, quarantine
        Where good rows go, conformed, and bad rows, as they came with the reason: a JSON object a
        line. Do not use what was staged if the table is refused in the end.

    Raises
    ------
    DataError
        The file cannot be read as a table.
    """
    dialect = readers.sniff(file)
    notes = [f"{name}: {dialect.note}"] if dialect and dialect.note else []
    sparse = readers.format_of(file) == "jsonl"
    inspection = None if contract is None else Inspection(contract, schema, sparse=sparse)
    rows, labels = 0, _Labels(schema)
    oddities = _Oddities(contract)
    size = readers.rows_at_once(file, _ROWS)
    try:
        for frame in readers.read_batches(
            file, schema, rows=size, labelled=True, dialect=dialect, on_found=notes.append
        ):
            rows += len(frame)
            oddities.take(frame)
            good = _good(frame, inspection, schema, labels, quarantine)
            if inspection is not None and inspection.hopeless:
                break
            if staging is not None and len(good):
                staging.write(in_order(good, schema), schema.time)
            if rows > len(frame):
                log.info("%s: %s rows read", name, f"{rows:,}")
    except WrittenOtherwiseError as exc:
        return Report(name, rows, refusals=(f"{exc.message} {exc.remedy}",), notes=tuple(notes), error=exc)
    except _RefusedError as exc:
        refusals = (*(inspection.refusals(now) if inspection else ()), exc.error.message)
        return Report(name, rows, refusals=refusals, notes=tuple(notes), error=exc.error)
    notes += oddities.notes(name)
    if inspection is None:
        return Report(name, rows, notes=tuple(notes))
    if inspection.late:
        notes.append(f"{name} has no column {schema.target}: its rows wait for their labels")
    return _reported(name, rows, inspection, tuple(notes), now)


def _reported(name: str, rows: int, inspection: Inspection, notes: tuple[str, ...], now: datetime) -> Report:
    refusals = inspection.refusals(now)
    if inspection.hopeless:
        return Report(name, rows, refusals=refusals[:1], notes=notes)
    return Report(name, rows, inspection.bad, inspection.reasons(), refusals, notes, inspection.biases())


class _Oddities:
    """What refuses nothing and a person should know: rows that are totals, columns that begin to vary."""

    def __init__(self, contract: Contract | None) -> None:
        self._totals = TotalRows()
        self._constants = ConstantColumns(contract.constant if contract else {})

    def take(self, frame: pd.DataFrame) -> None:
        """Look at a piece."""
        self._totals.take(frame)
        self._constants.take(frame)

    def notes(self, name: str) -> list[str]:
        """Return a sentence each."""
        return [*self._totals.notes(name), *self._constants.notes()]


class _RefusedError(Exception):
    """Rows that refuse the table they stand in."""

    def __init__(self, error: DataError) -> None:
        super().__init__(error.message)
        self.error = error


def _good(
    frame: pd.DataFrame,
    inspection: Inspection | None,
    schema: Schema,
    labels: _Labels,
    quarantine: IO[str] | None,
) -> pd.DataFrame:
    """Return the rows of a piece that are good, conformed, and quarantine the others."""
    good = frame
    try:
        if inspection is not None:
            good, bad = inspection.take(frame)
            _set_aside(bad, quarantine)
        if inspection is None or not inspection.hopeless:
            good = conform(good.assign(**{schema.target: None}) if _is_late(inspection) else good, schema)
            labels.take(good)
    except DataError as exc:
        raise _RefusedError(exc) from exc
    return good


class _Labels:
    """The labels of a table that is read in pieces: they are of one type, and of that of the piece before."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._type: type | None = None

    def take(self, frame: pd.DataFrame) -> None:
        known = frame[self._schema.target].dropna()
        if not self._schema.task_type.has_classes or not len(known):
            return
        label_type = type(known.iloc[0])
        if self._type not in (None, label_type):
            types = sorted(each.__name__ for each in (self._type, label_type) if each)
            raise DataError(
                f"{self._schema.target} holds labels of the types {shown(types)}.",
                remedy="Spell each label the same way in every row: true and false, whole numbers or text.",
            )
        self._type = label_type


def _is_late(inspection: Inspection | None) -> bool:
    return inspection is not None and inspection.late


def _set_aside(bad: pd.DataFrame, quarantine: IO[str] | None) -> None:
    if quarantine is None:
        return
    columns = [str(name) for name in bad.columns]
    for row in bad.itertuples(index=False, name=None):
        record = {name: jsonable(value) for name, value in zip(columns, row, strict=True)}
        quarantine.write(json.dumps(record, ensure_ascii=False) + "\n")
