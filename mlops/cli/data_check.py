"""Command `data check`: a table against the contract."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json, as_of_option, parse_time

__all__ = ["data_check"]


def data_check(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="CSV, Parquet or JSON lines: a file, or an address such as s3://….")
    ],
    as_of: Annotated[
        str | None, as_of_option("Time that freshness is measured at, ISO 8601, UTC; default: now.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a table against the contract and change nothing; exit 3 if it would be rejected.

    Example: mlops data check june.csv
    """
    from mlops.project.data_check import check_table
    from mlops.project.table_argument import open_table

    project, at = context.obj.project(), parse_time(as_of)
    with open_table(file, env=project.folder.root / ".env") as table:
        report = check_table(project, table, as_of=at)
    context.obj.show(report.text(), report.to_dict(), as_json=json)
    if report.refusals:
        raise typer.Exit(3)
