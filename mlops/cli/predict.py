"""Command `predict`: a table through the deployed model."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated, Any

import typer

from mlops.cli.output import Json

__all__ = ["predict"]


def predict(
    context: typer.Context,
    rows: Annotated[
        str,
        typer.Argument(
            help="CSV, Parquet or JSON lines with the features: a file, or an address such as s3://…."
        ),
    ],
    batch: Annotated[int, typer.Option(min=1, help="Rows per request.")] = 500,
    json: Json = False,
) -> None:
    """Predict a table's rows with the deployed model; print one prediction per line, in row order.

    Example: mlops predict april.parquet > predictions.jsonl
    """
    from mlops.project.predict import predict_table
    from mlops.project.table_argument import open_table

    project = context.obj.project()
    predictions: list[dict[str, Any]] = []
    with open_table(rows, env=project.folder.root / ".env") as table:
        for predicted in predict_table(project, table, batch=batch):
            if json:
                predictions += predicted
            else:
                sys.stdout.writelines(jsonlib.dumps(prediction) + "\n" for prediction in predicted)
    if json:
        context.obj.show("", {"predicted": len(predictions), "predictions": predictions}, as_json=True)
