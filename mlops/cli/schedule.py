"""Commands of the group `schedule`: show, set, unset, pause, resume."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from mlops.cli.output import Json

if TYPE_CHECKING:
    from mlops.project.schedule import Upcoming

__all__ = ["schedule"]

schedule = typer.Typer(invoke_without_command=True)

Flow = Annotated[str, typer.Argument(help="ingest, monitor, score or retrain.")]
_NOT_APPLIED = (
    "Prefect does not respond, or rejected the credentials: "
    "this is what params.yaml declares, applied by the next `mlops up`."
)


@schedule.callback()
def show(context: typer.Context, json: Json = False) -> None:
    """Show each flow's schedule, its next run, and whether it is paused.

    Example: mlops schedule
    """
    from mlops.project.schedule import upcoming

    if context.invoked_subcommand is not None:
        return
    schedules = upcoming(context.obj.project().folder)
    context.obj.show(_table(schedules), {"flows": [each.to_dict() for each in schedules]}, as_json=json)


@schedule.command("set")
def set_(
    context: typer.Context,
    flow: Flow,
    when: Annotated[
        str, typer.Argument(help='An interval such as 6h or 1d, or a cron line such as "0 6 * * 1".')
    ],
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of all schedules, e.g. Europe/Berlin.")
    ] = None,
    json: Json = False,
) -> None:
    """Set a flow's schedule, in params.yaml and in Prefect if it responds.

    Example: mlops schedule set monitor "0 6 * * 1" --timezone Europe/Berlin
    """
    from mlops.project.schedule import declare

    _show(context, declare(context.obj.project().folder, flow, when, timezone), as_json=json)


@schedule.command()
def unset(context: typer.Context, flow: Flow, json: Json = False) -> None:
    """Remove a flow's schedule, in params.yaml and in Prefect.

    Example: mlops schedule unset monitor
    """
    from mlops.project.schedule import declare

    _show(context, declare(context.obj.project().folder, flow, None), as_json=json)


@schedule.command()
def pause(context: typer.Context, flow: Flow, json: Json = False) -> None:
    """Pause a flow's schedule; `mlops up` does not end the pause.

    Example: mlops schedule pause retrain
    """
    from mlops.project.schedule import pause as pause_schedule

    _show(context, pause_schedule(context.obj.project().folder, flow), as_json=json)


@schedule.command()
def resume(context: typer.Context, flow: Flow, json: Json = False) -> None:
    """Resume a paused schedule, whether it was paused here or in Prefect.

    Example: mlops schedule resume retrain
    """
    from mlops.project.schedule import resume as resume_schedule

    _show(context, resume_schedule(context.obj.project().folder, flow), as_json=json)


def _show(context: typer.Context, each: Upcoming, *, as_json: bool) -> None:
    context.obj.show(_table([each]), each.to_dict(), as_json=as_json)


def _table(schedules: Sequence[Upcoming]) -> str:
    cadences = [_cadence(each) for each in schedules]
    width = max(len(cadence) for cadence in cadences)
    lines = [
        f"{each.flow:<8} {cadence:<{width}}  {_next(each)}".rstrip()
        for each, cadence in zip(schedules, cadences, strict=True)
    ]
    lines += [
        f"params.yaml says {each.declared} for {each.flow}: `mlops up` applies it."
        for each in schedules
        if each.declared
    ]
    return "\n".join([*lines, *([_NOT_APPLIED] if all(each.paused is None for each in schedules) else [])])


def _cadence(each: Upcoming) -> str:
    return f"{each.cadence} ({each.timezone})" if each.cadence else "by hand or by event"


def _next(each: Upcoming) -> str:
    if each.cadence is None:
        return ""
    if each.paused:
        return f"paused; `mlops schedule resume {each.flow}`"
    if each.next is None:
        return "" if each.paused is None else "next run not planned yet"
    return f"next {_local(each.next, each.timezone)}"


def _local(time: datetime, zone: str) -> str:
    utc = f"{time:%a %Y-%m-%d %H:%M} UTC"
    local = time.astimezone(ZoneInfo(zone))
    return utc if local.utcoffset() == time.utcoffset() else f"{local:%a %Y-%m-%d %H:%M} {zone} ({utc})"
