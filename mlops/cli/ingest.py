"""Command `ingest`: run the flow of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import Json

__all__ = ["ingest"]


def ingest(
    context: typer.Context,
    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="CSV, Parquet or JSON lines: files, folders, patterns or addresses such as s3://…; "
            "default: what is new in data.source.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add the rows of tables to the lake as one new version of the data; bad rows are quarantined.

    Example: mlops ingest january.parquet february.parquet
    """
    from mlops.project.table_argument import absolute

    sources = [absolute(word) for word in file or []]
    # A project's own flow may be of a time when it took one.
    more = {"more": sources[1:]} if sources[1:] else {}
    run_flow(context.obj, "ingest", as_json=json, file=sources[0] if sources else None, **more)
