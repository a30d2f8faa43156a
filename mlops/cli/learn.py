"""Verbs that run a flow: train, monitor, retrain, deploy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mlops.cli.output import AsOf, Json, Screen, parse_time

__all__ = ["add_to", "run"]


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    for verb in (train, monitor, retrain, deploy):
        app.command()(verb)


def run(screen: Screen, flow: str, *, as_json: bool, **parameters: Any) -> None:
    """Run a flow of the project here and now, against its Prefect, and show how it ended."""
    from mlops.orchestration.prefect_api import connect, load_flow

    loop = screen.loop()
    connect(loop.project)
    outcome = load_flow(loop.project, flow)(**parameters)
    result = {"flow": flow, "result": outcome.text, "refused": outcome.refused}
    screen.show(outcome.text, result, as_json=as_json)
    if outcome.refused:
        raise typer.Exit(3)


def train(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Run every stage even where nothing changed.")
    ] = False,
    json: Json = False,
) -> None:
    """Train on the newest data version; the gate decides whether the model is promoted.

    Example: mlops train
    """
    run(context.obj, "train", as_json=json, force=force)


def monitor(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Judge the drift of the window that ends at --as-of; confirmed drift starts a retraining.

    Example: mlops monitor --as-of 2013-04-01
    """
    run(context.obj, "monitor", as_json=json, as_of=parse_time(as_of))


def retrain(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Train on what was served since with its labels; deploy it if it is proven better.

    Example: mlops retrain --as-of 2013-04-01
    """
    run(context.obj, "retrain", as_json=json, as_of=parse_time(as_of))


def deploy(context: typer.Context, json: Json = False) -> None:
    """Put the promoted model behind the gateway without failing a request.

    Example: mlops deploy
    """
    run(context.obj, "deploy", as_json=json)
