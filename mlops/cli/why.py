"""Command `why`: the lineage of one prediction."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json

__all__ = ["why"]


def why(
    context: typer.Context,
    prediction: Annotated[str, typer.Argument(help="A prediction's id, from the response.")],
    json: Json = False,
) -> None:
    """Trace a prediction: its features, deployment, model, data, decision and labels.

    Example: mlops why 0006610a37c7725d22b1942f3332427a
    """
    from mlops.project.why import trace

    lineage = trace(context.obj.project(), prediction)
    context.obj.show(lineage.text(), lineage.to_dict(), as_json=json)
