"""Verbs for data in and truth in: ingest, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.learn import run
from mlops.cli.output import Json

__all__ = ["add_to"]

labels = typer.Typer(help="The truth about predictions, as it becomes known.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    app.command()(ingest)
    app.add_typer(labels, name="labels")


def ingest(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines.")],
    json: Json = False,
) -> None:
    """Add a table's rows to the lake as a new version of the data.

    Example: mlops ingest january.parquet
    """
    run(context.obj, "ingest", as_json=json, file=file.resolve())


@labels.command()
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A table with the key (or id) and the target.")],
    by: Annotated[str, typer.Option(help="What the first names: key or id.")] = "key",
    skip_unknown: Annotated[bool, typer.Option(help="Add the others where some are unknown.")] = False,
    json: Json = False,
) -> None:
    """Add true values for served predictions, by prediction id or by key.

    Example: mlops labels add march.parquet
    """
    from mlops.orchestration.truth import add_labels

    added = add_labels(context.obj.loop(), file, by=by, skip_unknown=skip_unknown)
    text = f"{added.rows} labels added, {added.corrected} of them corrections"
    text += f", {added.unknown} unknown left out." if added.unknown else "."
    result = {"rows": added.rows, "corrected": added.corrected, "unknown": added.unknown}
    context.obj.show(text, result, as_json=json)
