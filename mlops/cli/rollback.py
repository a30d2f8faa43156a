"""Command `rollback`: promote an earlier version, then run the flow `deploy`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.flow import run_flow
from mlops.cli.output import Json, show_progress

__all__ = ["rollback"]


def rollback(
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Argument(help="A version promoted earlier; default: the one promoted before the champion."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.")
    ] = None,
    json: Json = False,
) -> None:
    """Put an earlier version back in the champion's place, without failing a request.

    The model rolled back is not promoted again automatically: the next promotion takes newer data or
    other parameters, and a model that proves better.
    Example: mlops rollback --reason "too many false alarms"
    """
    from mlops.ledger.records import DeploymentStarted
    from mlops.project.rollback import check_version, roll_back
    from mlops.project.up import ensure

    project = context.obj.project()
    check_version(project, version)
    ensure(project, on_progress=show_progress)  # MLflow may have to give the bundle
    promoted = roll_back(project, version, reason=reason or "")
    if project.ledger.last(DeploymentStarted) is None:
        text = f"Version {promoted.record.version} is the champion. Nothing was deployed yet."
        context.obj.show(text, {"flow": None, "result": text, "refused": False}, as_json=json)
        return
    run_flow(context.obj, "deploy", as_json=json)
