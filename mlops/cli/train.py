"""Command `train`: run the flow of that name, where anything changed."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.flow import run_flow, show_outcome
from mlops.cli.output import Json, key_values

__all__ = ["train"]


def train(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Run every stage even if nothing changed.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a parameter for this run, e.g. model.params.max_iter=200; repeatable.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train on the newest data version; the gate decides whether the model is promoted.

    Once a model is deployed, a running loop deploys what is promoted.
    If nothing changed, no flow is started: the existing run and verdict are shown again.
    With --set it trains at your last commit, on a branch of its own. Example: mlops train
    """
    from mlops.project.up_to_date import unchanged_outcome

    overrides = key_values(set_ or [], example="model.params.max_iter=200")
    known = None if force or overrides else unchanged_outcome(context.obj.project())
    if known is not None:
        show_outcome(context.obj, "train", known, as_json=json)
        return
    # A project's own flow may be of a time before there were any.
    extra = {"overrides": overrides} if overrides else {}
    run_flow(context.obj, "train", as_json=json, force=force, **extra)
