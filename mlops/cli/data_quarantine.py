"""Command `data quarantine`: the rows that the contract kept out of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.output import Json
from mlops.errors import UsageError

if TYPE_CHECKING:
    from mlops.data.quarantine import QuarantinedBatch, QuarantinedRow
    from mlops.project.context import Project
    from mlops.project.data_quarantine import Quarantine

__all__ = ["data_quarantine"]

_WORDS = 60


def data_quarantine(
    context: typer.Context,
    batch: Annotated[
        str | None, typer.Argument(help="Only this batch: the start of its name, or the table it came in.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Show the rows, each with what is wrong.")] = False,
    column: Annotated[str | None, typer.Option("--column", help="Only rows with a bad value there.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Only rows whose reason has this text.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many rows to show of each batch.")] = 20,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE", help="Write the rows there, to be mended: CSV or JSON lines."
        ),
    ] = None,
    returned: Annotated[
        Path | None,
        typer.Option(
            "--return", metavar="FILE", help="Ingest the mended rows of an exported FILE that are good now."
        ),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="Check the rows again, after params.yaml or the contract was mended; ingest good ones.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List the rows that the contract kept out, show them, and take mended ones back; exit 3 if none is good.

    A row that was taken back is no longer here. Example: mlops data quarantine june.csv --rows
    """
    from mlops.project import data_quarantine as place

    project = context.obj.project()
    if sum((export is not None, returned is not None, retry)) > 1:
        raise UsageError("--export, --return and --retry are three commands.", remedy="Run one at a time.")
    if returned is not None:
        if batch or column or reason:
            raise UsageError(
                "--return takes the rows that FILE names.", remedy="Leave out the other options."
            )
        _show_outcome(context, place.take_back(project, returned.absolute()), as_json=json)
        return
    chosen = place.quarantine(project, batch, column=column, reason=reason)
    if retry:
        _show_outcome(context, place.retry(project, chosen), as_json=json)
    elif export is not None:
        place.export(chosen.rows, export.absolute())
        count = "1 row" if len(chosen.rows) == 1 else f"{len(chosen.rows):,} rows"
        text = f"{count} written to {export}. Mend them; then run `mlops data quarantine --return {export}`."
        context.obj.show(text, {"rows": len(chosen.rows), "file": str(export)}, as_json=json)
    else:
        shown = most if rows else 0
        context.obj.show(_text(project, chosen, shown), _fields(chosen, rows=rows), as_json=json)


def _show_outcome(context: typer.Context, outcome: Any, *, as_json: bool) -> None:
    context.obj.show(outcome.text, {"result": outcome.text, "refused": outcome.refused}, as_json=as_json)
    if outcome.refused:
        raise typer.Exit(3)


def _text(project: Project, chosen: Quarantine, most: int) -> str:
    if not chosen.batches:
        return "No row waits in quarantine."
    lines = []
    for batch in chosen.batches:
        ours = [row for row in chosen.rows if row.batch == batch.name]
        lines += _batch(project, chosen, batch, ours)
        lines += [f"    row {row.number}: {row.reason}\n      {_values(row)}" for row in ours[:most]]
        lines += [f"    … and {len(ours) - most:,} more"] if most and len(ours) > most else []
    return "\n".join(
        [*lines, "Mend them: `mlops data quarantine --export FILE`; or the contract: `--retry`."]
    )


def _batch(
    project: Project, chosen: Quarantine, batch: QuarantinedBatch, ours: list[QuarantinedRow]
) -> list[str]:
    count = f"{batch.waiting:,} of {batch.rows:,} rows wait" if batch.returned else f"{batch.rows:,} rows"
    lines = [f"{batch.name}  {count}, of {batch.table}, {batch.at:%Y-%m-%d %H:%M} UTC"]
    if not (project.folder.root / batch.file).is_file():
        return [*lines, f"  {batch.file} is not on this machine, or was deleted (keep.quarantine)"]
    if len(ours) != batch.waiting:
        lines.append(f"  {len(ours):,} of them chosen")
    for one in chosen.reasons(batch):
        rows = "1 row" if one.rows == 1 else f"{one.rows:,} rows"
        example = "an empty cell" if one.example in (None, "") else repr(one.example)[:_WORDS]
        lines.append(f"  {one.column} is {one.rule}: {rows}, as {example}")
    return [*lines, *(f"  {bias.sentence}" for bias in batch.biases)]


def _values(row: QuarantinedRow) -> str:
    cells = (f"{name}={value!r}" for name, value in row.values.items() if value is not None)
    return ", ".join(cell if len(cell) <= _WORDS else f"{cell[: _WORDS - 1]}…" for cell in cells)


def _fields(chosen: Quarantine, *, rows: bool) -> dict[str, Any]:
    from dataclasses import asdict

    batches = [
        {
            "name": batch.name,
            "table": batch.table,
            "at": batch.at.isoformat(),
            "file": batch.file,
            "rows": batch.rows,
            "waiting": batch.waiting,
            "reasons": [asdict(reason) for reason in chosen.reasons(batch)],
            "biases": [asdict(bias) for bias in batch.biases],
        }
        for batch in chosen.batches
    ]
    listed = [
        {"batch": row.batch, "row": row.number, "reason": row.reason, "values": dict(row.values)}
        for row in chosen.rows
    ]
    return {"batches": batches, **({"rows": listed} if rows else {})}
