"""Command `data check`: a table against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.output import Json, as_of_option, parse_time

__all__ = ["data_check"]


def data_check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines.")],
    as_of: Annotated[
        str | None, as_of_option("Time that freshness is measured at, ISO 8601, UTC; default: now.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a table against the contract and change nothing; exit 3 if it would be rejected.

    Example: mlops data check june.csv
    """
    from mlops.project.data_check import check_table

    report = check_table(context.obj.project(), file.resolve(), as_of=parse_time(as_of))
    context.obj.show(report.text(), report.to_dict(), as_json=json)
    if report.refusals:
        raise typer.Exit(3)
