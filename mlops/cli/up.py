"""Command `up`: start the services."""

from __future__ import annotations

import typer

from mlops.cli.output import Json, show_progress

__all__ = ["up"]


def up(context: typer.Context, json: Json = False) -> None:
    """Start Prefect, MLflow, the runner and the gateway; wait until each responds.

    Services that run are left alone; the model that served before a reboot serves again.
    Example: mlops up
    """
    from mlops.adapters.mlflow.links import first_page
    from mlops.addresses import split_login
    from mlops.project.up import up as start

    project = context.obj.project()
    context.obj.warn_of_ignored()
    health = start(project, on_progress=show_progress)
    folder = project.folder
    lines = [
        "The loop is up.",
        f"  predictions  {folder.address}",
        f"  experiments  {first_page(folder.mlflow_uri)}",
        f"  flows        {split_login(folder.prefect_uri)[0].removesuffix('/api')}",
    ]
    result = {part.part: {"address": part.address, "up": part.up} for part in health}
    context.obj.show("\n".join(lines), result, as_json=json)
