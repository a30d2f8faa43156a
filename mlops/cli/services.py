"""Verbs for the loop's own life: up, down, status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mlops.cli.output import Json, tell

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    for verb in (up, down, status):
        app.command()(verb)


def up(context: typer.Context, json: Json = False) -> None:
    """Start Prefect, MLflow, the runner and the gateway; wait until each answers.

    What runs already is left alone; the model that served before a reboot serves again.
    Example: mlops up
    """
    from mlops.adapters.mlflow.links import first_page
    from mlops.project import services

    project = context.obj.project()
    health = services.up(project, told=tell)
    folder = project.folder
    lines = [
        "The loop is up.",
        f"  predictions  {folder.address}",
        f"  experiments  {first_page(folder.mlflow_uri)}",
        f"  flows        {folder.prefect_uri.removesuffix('/api')}",
    ]
    result = {part.part: {"address": part.address, "up": part.up} for part in health}
    context.obj.show("\n".join(lines), result, as_json=json)


def down(
    context: typer.Context,
    serving: Annotated[
        bool, typer.Option("--serving", help="Stop the model service and gateway too.")
    ] = False,
    json: Json = False,
) -> None:
    """Stop Prefect, MLflow and the runner; serving goes on unless --serving is given.

    Example: mlops down --serving
    """
    from mlops.project import services

    stopped = services.down(context.obj.project(), serving=serving)
    text = f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running."
    context.obj.show(text, {"stopped": stopped}, as_json=json)


def status(context: typer.Context, json: Json = False) -> None:
    """Show what serves, the last verdicts and decisions, and what is up.

    Example: mlops status
    """
    from mlops.project.status import overview

    seen = overview(context.obj.project(), now=datetime.now(UTC))
    context.obj.show(seen.text(), seen.to_dict(), as_json=json)
