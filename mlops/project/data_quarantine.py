"""What `mlops data quarantine` does: list rows that the contract kept out, export them, take them back."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlops.data.batch import examine
from mlops.data.contract import Contract, RowCount
from mlops.data.quarantine import ROW, QuarantinedBatch, QuarantinedRow, batches, read_rows
from mlops.data.source import Fetched
from mlops.errors import UsageError, shown
from mlops.files import atomic, hashing
from mlops.ledger.outcome import Outcome
from mlops.ledger.records import DataVersioned, ReturnedRows
from mlops.project import mended_rows
from mlops.project.context import Project
from mlops.project.data_check import contract_of
from mlops.project.ingest import Ingested, Returned, add_returned

__all__ = ["Quarantine", "ReasonCount", "export", "quarantine", "retry", "take_back", "waiting"]


@dataclass(frozen=True)
class ReasonCount:
    """A rule that a column breaks, in how many rows that wait, and with what for example."""

    column: str
    rule: str
    rows: int
    example: Any


@dataclass(frozen=True)
class Quarantine:
    """The rows that wait.

    Parameters
    ----------
    batches
        Those with rows that wait, oldest first; also where the rows are not on this machine.
    rows
        Those that were chosen, of this machine.
    """

    batches: Sequence[QuarantinedBatch]
    rows: Sequence[QuarantinedRow]

    def reasons(self, batch: QuarantinedBatch) -> list[ReasonCount]:
        """Return why the chosen rows of a batch are there, the most frequent first."""
        counted = []
        ours = [row for row in self.rows if row.batch == batch.name]
        for bad in batch.reasons:
            breaking = [row for row in ours if row.breaks(bad.column, bad.rule)]
            if breaking:
                example = breaking[0].values.get(bad.column)
                counted.append(ReasonCount(bad.column, bad.rule, len(breaking), example))
        return sorted(counted, key=lambda count: -count.rows)


def waiting(project: Project) -> list[QuarantinedBatch]:
    """Return the batches with rows that wait, oldest first; only the ledger is read."""
    return batches(project.ledger.entries(DataVersioned)) if project.has_ledger else []


def quarantine(
    project: Project, batch: str | None = None, *, column: str | None = None, reason: str | None = None
) -> Quarantine:
    """Return what waits.

    Parameters
    ----------
    batch
        The start of its name, or the table that it came in; all by default.
    column, reason
        Only rows that break a rule of this column; only those whose reason has this text.

    Raises
    ------
    UsageError
        There is no such batch.
    """
    known = waiting(project)
    chosen = [b for b in known if batch is None or b.name.startswith(batch) or b.table == batch]
    if batch is not None and not chosen:
        names = shown([each.name for each in known], 9) or "none"
        raise UsageError(
            f"No batch {batch!r} waits in quarantine; there are: {names}.",
            remedy="See `mlops data quarantine`.",
        )
    rows = [
        row
        for row in read_rows(project.folder.root, chosen)
        if (column is None or row.breaks(column)) and (reason is None or reason in row.reason)
    ]
    return Quarantine(chosen, rows)


def export(rows: Sequence[QuarantinedRow], file: Path) -> None:
    """Write rows to a table, to be mended there: a column names each, another says what is wrong.

    Raises
    ------
    UsageError
        There is no row, or the file is neither CSV nor JSON lines.
    """
    if not rows:
        raise UsageError("No row to export.", remedy="See `mlops data quarantine`.")
    atomic.write_text(file, mended_rows.text_of(rows, file))


def retry(project: Project, chosen: Quarantine) -> Outcome:
    """Check quarantined rows by the present contract and params.yaml, and ingest those that are good now."""
    contract = contract_of(project)
    unique = contract.unique if contract else ()
    candidates = [row for row in chosen.rows if not _repeats(row, row, unique)]
    return _take_back(project, chosen.batches, candidates, contract, total=len(chosen.rows))


def take_back(project: Project, file: Path) -> Outcome:
    """Ingest the mended rows of an exported table that are good now; the others go on waiting.

    Raises
    ------
    UsageError
        The file does not name the rows.
    DataError
        It cannot be read.
    """
    everything = quarantine(project)
    mended = mended_rows.read(file)
    known = {row.name: row for row in everything.rows}
    gone = {f"{batch.name}:{number}" for batch in everything.batches for number in batch.returned}
    unknown = [name for name in mended if name not in known and name not in gone]
    if unknown:
        done = _done_batches(project, everything.batches)
        unknown = [name for name in unknown if name.rpartition(":")[0] not in done]
    if unknown:
        raise UsageError(
            f"{file}: no row {shown(unknown)} waits in quarantine.",
            remedy=f"Keep the column {ROW} as it was exported.",
        )
    schema, candidates = project.schema, []
    for name, cells in mended.items():
        if name in known:
            candidates.append(replace(known[name], values=mended_rows.merged(known[name], cells, schema)))
    before = len(mended) - len(candidates)
    contract = contract_of(project)
    unique = contract.unique if contract else ()
    candidates = [row for row in candidates if not _repeats(row, known[row.name], unique)]
    outcome = _take_back(project, everything.batches, candidates, contract, total=len(mended) - before)
    if not before:
        return outcome
    rows = "1 row was" if before == 1 else f"{before:,} rows were"
    return replace(outcome, text=f"{outcome.text} {rows} taken back before.")


def _repeats(row: QuarantinedRow, before: QuarantinedRow, unique: Sequence[str]) -> bool:
    """Return whether a row still repeats a value: alone it would not, but the first of it is in the lake."""
    return any(
        row.breaks(name, "not unique") and row.values.get(name) == before.values.get(name) for name in unique
    )


def _done_batches(project: Project, waiting: Sequence[QuarantinedBatch]) -> set[str]:
    """Return the names of the batches of which no row waits any more."""
    files = (file for entry in project.ledger.entries(DataVersioned) for file in entry.record.files)
    every = {Path(file.quarantine).stem for file in files if file.quarantine}
    return every - {batch.name for batch in waiting}


def _take_back(
    project: Project,
    waiting: Sequence[QuarantinedBatch],
    candidates: Sequence[QuarantinedRow],
    contract: Contract | None,
    *,
    total: int,
) -> Outcome:
    """Ingest those of the rows that are good now."""
    if not total:
        return Outcome("Nothing waits in quarantine.")
    contract = _of_rows(contract)
    with TemporaryDirectory(prefix="mlops-") as folder:
        still_bad, reasons = _still_bad(project, candidates, contract, Path(folder))
        good = [row for row in candidates if row.name not in still_bad]
        if not good:
            return Outcome(f"No row was taken back: {_remaining(total, reasons)}", refused=True)
        named = ({**row.values, ROW: row.name} for row in good)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in named)
        origins = list(dict.fromkeys(row.batch for row in good))
        name = f"{shown(origins, 2)}, returned {hashing.of_value([row.name for row in good])[:8]}.jsonl"
        file = Path(folder) / "returned.jsonl"
        file.write_text(lines, "utf-8")
        ingested = add_returned(
            project.folder.root, Fetched(file, name), Returned(_places(waiting, good), contract)
        )
    return _outcome(ingested, len(good), total, reasons)


def _outcome(ingested: Ingested, good: int, total: int, reasons: Sequence[str]) -> Outcome:
    if ingested.outcome.refused or ingested.version is None:
        return ingested.outcome
    rows = "1 row was" if good == 1 else f"{good:,} rows were"
    rest = "" if good == total else f" {_remaining(total - good, reasons)}"
    version = ingested.version.record.md5[:12]
    return replace(
        ingested.outcome, text=f"{rows} taken back from quarantine; the data is at version {version}.{rest}"
    )


def _remaining(count: int, reasons: Sequence[str]) -> str:
    because = f": {shown(reasons, 3)}" if reasons else ""
    return f"{count:,} {'row is' if count == 1 else 'rows are'} still bad{because}."


def _still_bad(
    project: Project, rows: Sequence[QuarantinedRow], contract: Contract | None, folder: Path
) -> tuple[set[str], list[str]]:
    """Return the names of the rows that cannot be used now, and why, the most frequent first."""
    bad: set[str] = set()
    reasons: list[str] = []
    groups: dict[tuple[str, ...], list[QuarantinedRow]] = {}
    for row in rows:  # of tables with other columns, each by itself
        groups.setdefault(tuple(sorted(row.values)), []).append(row)
    for group in groups.values():
        file, aside = folder / "candidates.jsonl", io.StringIO()
        lines = (json.dumps({**row.values, ROW: row.name}, ensure_ascii=False) for row in group)
        file.write_text("\n".join(lines) + "\n", "utf-8")
        report = examine(file, "the rows", project.schema, contract, now=datetime.now(UTC), quarantine=aside)
        reasons += [str(reason) for reason in report.reasons]
        if report.refusals:
            bad |= {row.name for row in group}
            reasons.append(report.refusals[0].rstrip("."))
        bad |= {json.loads(line)[ROW] for line in aside.getvalue().split("\n") if line}
    return bad, reasons


def _of_rows(contract: Contract | None) -> Contract | None:
    """Return what a contract asks of each row, without what it asks of a batch as a whole."""
    if contract is None:
        return None
    columns = {
        name: rule if rule.nulls == 0 else rule.model_copy(update={"nulls": None})
        for name, rule in contract.columns.items()
    }
    whole: dict[str, Any] = {"policy": "quarantine", "max_bad": 1.0, "rows": RowCount(), "freshness": None}
    return contract.model_copy(update={**whole, "columns": columns})


def _places(waiting: Sequence[QuarantinedBatch], rows: Sequence[QuarantinedRow]) -> tuple[ReturnedRows, ...]:
    files = {batch.name: batch.file for batch in waiting}
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(files[row.batch], []).append(row.number)
    return tuple(ReturnedRows(file, tuple(sorted(places))) for file, places in numbers.items())
