"""Verbs for data in and truth in: ingest, data, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli import data_versions
from mlops.cli.models import run
from mlops.cli.output import Json, as_of_option, parse_time

__all__ = ["add_to"]

data = typer.Typer(
    help="The data: what may enter it, its versions, and where they are kept.", no_args_is_help=True
)
labels = typer.Typer(help="The labels of predictions, as they become known.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    app.command()(ingest)
    data_versions.add_to(data)
    app.add_typer(data, name="data")
    app.add_typer(labels, name="labels")


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
    """Add the rows of tables to the lake as one new version of the data; bad rows are kept apart.

    Example: mlops ingest january.parquet february.parquet
    """
    words = [word if "://" in word else str(Path(word).resolve()) for word in file or []]
    # A project's own flow may be of a time when it took one.
    more = {"more": words[1:]} if words[1:] else {}
    run(context.obj, "ingest", as_json=json, file=words[0] if words else None, **more)


@data.command()
def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines.")],
    as_of: Annotated[
        str | None, as_of_option("Time that freshness is measured at, ISO 8601, UTC; default: now.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a table against the contract and change nothing; exit 3 if it would be refused.

    Example: mlops data check june.csv
    """
    from mlops.project.data_check import check_table

    report = check_table(context.obj.project(), file.resolve(), as_of=parse_time(as_of))
    context.obj.show(report.text(), report.to_dict(), as_json=json)
    if report.refusals:
        raise typer.Exit(3)


@labels.command()
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A table with the key (or id) and the target.")],
    by: Annotated[
        str, typer.Option(help="How the file names its rows: key, or id (of the prediction).")
    ] = "key",
    skip_unknown: Annotated[
        bool, typer.Option(help="Skip labels that match no prediction instead of refusing the file.")
    ] = False,
    json: Json = False,
) -> None:
    """Add the labels of served predictions, by key or by prediction id.

    Example: mlops labels add march.parquet
    """
    from mlops.project.labels import add_labels

    added = add_labels(context.obj.project(), file, by=by, skip_unknown=skip_unknown)
    text = f"{added.rows} labels added, {added.corrected} of them corrections"
    text += f", {added.unknown} unknown left out." if added.unknown else "."
    result = {"rows": added.rows, "corrected": added.corrected, "unknown": added.unknown}
    context.obj.show(text, result, as_json=json)
