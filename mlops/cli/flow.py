"""Run a flow of the project and show its result."""

from __future__ import annotations

from typing import Any

import typer

from mlops.cli.output import Screen, show_progress
from mlops.ledger.outcome import Outcome

__all__ = ["run_flow", "show_outcome"]


def run_flow(screen: Screen, flow: str, *, as_json: bool, **parameters: Any) -> None:
    """Run a flow of the project here and now, against its Prefect, and show how it ended."""
    from mlops.adapters.prefect_server.environment import connect
    from mlops.orchestration.run_flow import run_flow as run
    from mlops.project.health import check_running
    from mlops.project.up import ensure

    project = screen.project()
    screen.warn_of_ignored()
    ensure(project, on_progress=show_progress)
    check_running(project, "prefect")
    connect(project.folder)
    show_outcome(screen, flow, run(project.folder, flow, **parameters), as_json=as_json)


def show_outcome(screen: Screen, flow: str, outcome: Outcome, *, as_json: bool) -> None:
    """Show how a flow ended; exit 3 where a gate or policy rejected."""
    result = {"flow": flow, "result": outcome.text, "refused": outcome.refused}
    screen.show(outcome.text, result, as_json=as_json)
    if outcome.refused:
        raise typer.Exit(3)
