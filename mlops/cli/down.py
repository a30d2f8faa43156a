"""Command `down`: stop the services."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json

__all__ = ["down"]


def down(
    context: typer.Context,
    serving: Annotated[
        bool, typer.Option("--serving", help="Stop the model service and gateway too.")
    ] = False,
    json: Json = False,
) -> None:
    """Stop Prefect, MLflow and the runner; the model keeps serving unless --serving is given.

    Example: mlops down --serving
    """
    from mlops.project.down import down as stop

    stopped = stop(context.obj.project(), serving=serving)
    text = f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running."
    context.obj.show(text, {"stopped": stopped}, as_json=json)
