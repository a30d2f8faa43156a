"""The verb that asks the deployed model: predict."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.output import Json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this verb to the program."""
    app.command()(predict)


def predict(
    context: typer.Context,
    rows: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines with the features.")],
    batch: Annotated[int, typer.Option(min=1, help="Rows a request.")] = 500,
    json: Json = False,
) -> None:
    """Ask the deployed model about a table's rows; print an answer a line, in their order.

    Example: mlops predict april.parquet > answers.jsonl
    """
    from mlops.client import Client
    from mlops.source import read_table

    loop = context.obj.loop()
    answered = 0
    with Client(loop.project.address) as client:
        for answers in client.predict_frame(read_table(rows), loop.schema, batch=batch):
            answered += len(answers)
            if not json:
                sys.stdout.writelines(jsonlib.dumps(answer) + "\n" for answer in answers)
    if json:
        context.obj.show("", {"answered": answered}, as_json=True)
