"""Command `monitor`: run the flow of that name."""

from __future__ import annotations

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import AsOf, Json, parse_time

__all__ = ["monitor"]


def monitor(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Judge the window of served rows that ends at --as-of; confirmed drift starts a retraining.

    Example: mlops monitor --as-of 2013-04-01
    """
    run_flow(context.obj, "monitor", as_json=json, as_of=parse_time(as_of))
