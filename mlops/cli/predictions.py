"""Verbs that ask a model, and about its answers: predict, score, why."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops.cli.models import run
from mlops.cli.output import Json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    app.command()(predict)
    app.command()(score)
    app.command()(why)


def predict(
    context: typer.Context,
    rows: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines with the features.")],
    batch: Annotated[int, typer.Option(min=1, help="Rows per request.")] = 500,
    json: Json = False,
) -> None:
    """Ask the deployed model about a table's rows; print one answer per line, in row order.

    Example: mlops predict april.parquet > answers.jsonl
    """
    from mlops.deployment.client import Client, records
    from mlops.project.health import check_own
    from mlops.tables.readers import read_table

    project = context.obj.project()
    schema = project.asked
    table = read_table(rows, schema)
    records(table.head(batch), schema)  # what is wrong with it is told before anybody is asked
    check_own(project, "gateway", remedy="Start the loop with `mlops up` and a model with `mlops deploy`.")
    told: list[dict[str, Any]] = []
    with Client(project.folder.address) as client:
        for answers in client.predict_frame(table, schema, batch=batch):
            if json:
                told += answers
            else:
                sys.stdout.writelines(jsonlib.dumps(answer) + "\n" for answer in answers)
    if json:
        context.obj.show("", {"answered": len(told), "predictions": told}, as_json=True)


def score(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(help="CSV, Parquet or JSON lines; default: score.source.")
    ] = None,
    destination: Annotated[
        Path | None,
        typer.Argument(help="A .parquet, .csv or .jsonl file, or a folder; default: score.destination."),
    ] = None,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Leave the answers out of the prediction log.")
    ] = False,
    json: Json = False,
) -> None:
    """Answer a whole table with the promoted model; write the rows with their answers.

    Example: mlops score april.parquet scores/
    """
    given = {"source": source and source.absolute(), "destination": destination and destination.absolute()}
    run(context.obj, "score", as_json=json, unlogged=no_log, **given)


def why(
    context: typer.Context,
    prediction: Annotated[str, typer.Argument(help="A prediction's id, as its answer has it.")],
    json: Json = False,
) -> None:
    """Show what stands behind a prediction: its features, deployment, model, data, decision and labels.

    Example: mlops why 0006610a37c7725d22b1942f3332427a
    """
    from mlops.project.why import trace

    found = trace(context.obj.project(), prediction)
    context.obj.show(found.text(), found.to_dict(), as_json=json)
