"""Command `score`: run the flow of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import Json

__all__ = ["score"]


def score(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="CSV, Parquet or JSON lines, a file; default: score.source.")
    ] = None,
    destination: Annotated[
        str | None,
        typer.Argument(help="A .parquet, .csv or .jsonl file, or a folder; default: score.destination."),
    ] = None,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Keep the predictions out of the prediction log.")
    ] = False,
    json: Json = False,
) -> None:
    """Score a whole table with the promoted model; write its rows with their predictions.

    Example: mlops score april.parquet scores/
    """
    from mlops.project.table_argument import local_path

    words = {"source": source, "destination": destination}
    paths = {name: word and local_path(word, argument=f"The {name}") for name, word in words.items()}
    run_flow(context.obj, "score", as_json=json, unlogged=no_log, **paths)
