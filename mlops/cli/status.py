"""Command `status`: what serves, what was decided, what is up."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from mlops.cli.output import Json

__all__ = ["status"]


def status(context: typer.Context, json: Json = False) -> None:
    """Show what serves, the last verdicts and decisions, and what is up.

    Example: mlops status
    """
    from mlops.project.status import overview

    overall = overview(context.obj.project(), now=datetime.now(UTC))
    context.obj.show(overall.text(), overall.to_dict(), as_json=json)
