"""Command `deploy`: run the flow of that name."""

from __future__ import annotations

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import Json

__all__ = ["deploy"]


def deploy(context: typer.Context, json: Json = False) -> None:
    """Put the promoted model behind the gateway without failing a request.

    Example: mlops deploy
    """
    run_flow(context.obj, "deploy", as_json=json)
