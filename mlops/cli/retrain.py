"""Command `retrain`: run the flow of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import Json, as_of_option, parse_time

__all__ = ["retrain"]


def retrain(
    context: typer.Context,
    as_of: Annotated[
        str | None,
        as_of_option(
            "Event time to act as of, ISO 8601, UTC; default: the newest row served, or the newest labelled "
            "row of the lake if that is later."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train on served rows that now have labels; deploy the model if it proves better.

    Example: mlops retrain --as-of 2013-04-01
    """
    run_flow(context.obj, "retrain", as_json=json, as_of=parse_time(as_of))
