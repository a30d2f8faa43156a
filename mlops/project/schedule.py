"""Schedules: what params.yaml declares, living in Prefect, where a person sees and pauses them.

The declaration is one schedule of the flow's deployment, known by its slug. A pause is Prefect's
own state, of that schedule or of the deployment, and nothing here but `resume` ends it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mlops.adapters.prefect_server.rest import Deployments
from mlops.config.durations import format_duration
from mlops.config.params import SCHEDULED, ScheduleParams
from mlops.config.project_folder import ProjectFolder, find_project
from mlops.errors import MlopsError, UnavailableError, UsageError
from mlops.project.context import Project
from mlops.project.health import check_own

__all__ = ["Upcoming", "apply", "catch_up", "declare", "pause", "resume", "upcoming"]

Run = dict[str, Any]
"""A flow run as Prefect tells of it."""

_SLUG = "params-yaml"
_ANCHOR = datetime(2024, 1, 1)
"""A Monday's midnight, in the schedule's time zone: intervals count from it, whenever they were set."""


@dataclass(frozen=True)
class Upcoming:
    """When a flow runs next.

    Parameters
    ----------
    cadence
        In Prefect, where it answers; else as declared. None where the flow has no schedule.
    next
        UTC; None where nothing is planned, and where Prefect does not respond.
    paused
        None where Prefect does not respond, or does not know the flow yet.
    declared
        What params.yaml says where Prefect holds something else; the next `mlops up` applies it.
    """

    flow: str
    cadence: str | None
    timezone: str
    next: datetime | None = None
    paused: bool | None = None
    declared: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self) | {"next": self.next.isoformat() if self.next else None}


def upcoming(folder: ProjectFolder, *, patience: float = 2.0) -> list[Upcoming]:
    """Return each flow that may have a schedule, with its next run.

    Parameters
    ----------
    patience
        Seconds to wait for each of Prefect's answers.
    """
    params = folder.params.schedule
    try:
        prefect = _reach(folder, patience)
        found = {flow: prefect.of(flow) for flow in SCHEDULED}
        planned = prefect.next_runs([each["id"] for each in found.values() if each])
    except MlopsError:  # away, or it does not let us in; either way there is more to show
        found, planned = dict.fromkeys(SCHEDULED), {}
    return [
        _living(flow, params, each, planned.get(each["id"])) if each else _declared(flow, params)
        for flow, each in found.items()
    ]


def apply(folder: ProjectFolder) -> list[str]:
    """Bring Prefect's schedules to what params.yaml declares; return the flows whose changed.

    A pause stays: a schedule that is changed keeps whether it is active, and a deployment
    whether it is paused. Schedules that a person added in Prefect are left alone. A flow that
    the runner has not registered yet gets its schedule when that does.

    Raises
    ------
    UnavailableError
        Prefect does not respond.
    """
    changed = []
    # `mlops up` and the runner it has just started may be here at once.
    with Project(folder).lock("schedules"):
        prefect = _reach(folder)
        for flow in SCHEDULED:
            deployment = prefect.of(flow)
            if deployment is None:
                continue
            if _bring(prefect, deployment, _wanted(flow, folder.params.schedule)):
                _plan(prefect, flow)
                changed.append(flow)
    return changed


def declare(folder: ProjectFolder, flow: str, when: str | None, timezone: str | None = None) -> Upcoming:
    """Write a flow's cadence to params.yaml, and to Prefect where it answers.

    Parameters
    ----------
    when
        A cron line or an interval; None takes the schedule away.
    timezone
        Of every schedule; None leaves it as it is.

    Raises
    ------
    ConfigError
        params.yaml would not be valid; it is untouched, and so is Prefect.
    """
    from mlops.config.edit import change

    _check(flow)
    if when is not None or folder.params.schedule.of(flow) is not None:
        zone = {"timezone": timezone} if timezone is not None else {}
        change(folder.root / "params.yaml", "schedule", {**zone, flow: when})
        folder = find_project(folder.root, folder.settings)
    try:
        apply(folder)
    except UnavailableError:
        return _declared(flow, folder.params.schedule)
    return _of(folder, flow)


def pause(folder: ProjectFolder, flow: str) -> Upcoming:
    """Let a flow's schedule rest until `resume`, or a person in Prefect, ends that.

    Raises
    ------
    UnavailableError
        Prefect does not respond, or does not know the flow yet.
    UsageError
        The flow has no schedule.
    """
    prefect, deployment = _scheduled(folder, flow)
    prefect.pause(deployment["id"])
    return _of(folder, flow)


def resume(folder: ProjectFolder, flow: str) -> Upcoming:
    """End a flow's pause, whether its schedule or its deployment was paused.

    Raises
    ------
    UnavailableError
        Prefect does not respond, or does not know the flow yet.
    UsageError
        The flow has no schedule.
    """
    prefect, deployment = _scheduled(folder, flow)
    ours = _ours(deployment)
    if ours is not None:
        prefect.change_schedule(deployment["id"], ours["id"], active=True)
    prefect.resume(deployment["id"])
    _plan(prefect, flow)
    return _of(folder, flow)


def catch_up(folder: ProjectFolder, *, now: datetime) -> int:
    """Of each schedule's runs that are overdue keep the newest, end the others, and return how many.

    What was missed while the machine was off or asleep is done once, not once for each time; by a
    person's own schedule of the same flow too, which may ask for something else.

    Raises
    ------
    UnavailableError
        Prefect does not respond.
    """
    skipped, prefect = 0, _reach(folder)
    # Page by page, until none is left, or what is left was taken up meanwhile.
    while ended := sum(_skip(prefect, *pair) for pair in _superseded(prefect.overdue(now))):
        skipped += ended
    return skipped


def _superseded(overdue: list[Run]) -> list[tuple[Run, Run]]:
    """Pair each run, of some that come newest first, with the one of its schedule that is done."""
    newest: dict[tuple[str, str | None], Run] = {}
    pairs = [(run, newest.setdefault(_planner(run), run)) for run in overdue]
    return [(run, kept) for run, kept in pairs if run is not kept]


def _planner(run: Run) -> tuple[str, str | None]:
    """Return the deployment of a run, and the schedule of it that planned the run."""
    return run["deployment_id"], (run["created_by"] or {}).get("id")


def _skip(prefect: Deployments, run: Run, kept: Run) -> bool:
    planned = kept["next_scheduled_start_time"][:16].replace("T", " ")
    why = f"Missed while nothing ran here: what was due is done once, by the run planned for {planned} UTC."
    return prefect.end(run["id"], name="Skipped", message=why)


def _bring(prefect: Deployments, deployment: dict[str, Any], wanted: dict[str, Any] | None) -> bool:
    """Change the deployment's schedule to what is wanted; tell whether that took anything."""
    ours = _ours(deployment)
    if _same(ours and ours["schedule"], wanted):
        return False
    if wanted is None:
        prefect.remove_schedule(deployment["id"], (ours or {})["id"])
    elif ours is None:
        prefect.add_schedule(deployment["id"], wanted, slug=_SLUG)
    else:
        prefect.change_schedule(deployment["id"], ours["id"], schedule=wanted)
    return True


def _plan(prefect: Deployments, flow: str) -> None:
    """Plan a flow's runs now, unless it is paused, which Prefect would not look at."""
    deployment = prefect.of(flow)
    if deployment is None or deployment["paused"]:
        return
    prefect.plan(deployment["id"])
    after = prefect.of(flow)
    if after is not None and after["paused"]:  # in between: to pause again takes the runs away
        prefect.pause(after["id"])


def _wanted(flow: str, params: ScheduleParams) -> dict[str, Any] | None:
    """Return a flow's declared schedule in Prefect's words."""
    cadence = params.of(flow)
    if cadence is None:
        return None
    if cadence.every is None:
        return {"cron": cadence.text, "timezone": params.timezone}
    # In UTC: in a zone of its own Prefect counts by the clock on from a time reckoned by elapsed hours,
    # and runs once too often wherever summer time begins or ends.
    anchor = _ANCHOR.replace(tzinfo=ZoneInfo(params.timezone)).astimezone(UTC).isoformat()
    return {"interval": cadence.every.total_seconds(), "anchor_date": anchor, "timezone": "UTC"}


def _same(held: dict[str, Any] | None, wanted: dict[str, Any] | None) -> bool:
    if held is None or wanted is None:
        return held is wanted
    return all(_plain(key, held.get(key)) == _plain(key, value) for key, value in wanted.items())


def _plain(key: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if key == "anchor_date" and value else value


def _ours(deployment: dict[str, Any]) -> dict[str, Any] | None:
    return next((each for each in deployment["schedules"] if each["slug"] == _SLUG), None)


def _of(folder: ProjectFolder, flow: str) -> Upcoming:
    return next(each for each in upcoming(folder, patience=10) if each.flow == flow)


def _declared(flow: str, params: ScheduleParams) -> Upcoming:
    cadence = params.of(flow)
    return Upcoming(flow, str(cadence) if cadence else None, params.timezone)


def _living(
    flow: str, params: ScheduleParams, deployment: dict[str, Any], planned: datetime | None
) -> Upcoming:
    ours, every = _ours(deployment), deployment["schedules"]
    declared = str(params.of(flow) or "none")
    differs = not _same(ours and ours["schedule"], _wanted(flow, params))
    spoken = [declared if each is ours and not differs else _spoken(each["schedule"]) for each in every]
    shown = (ours or (every[0] if every else {})).get("schedule", {})
    zone = None if ours and not differs else shown.get("timezone")
    return Upcoming(
        flow,
        "; ".join(spoken) or None,
        zone or params.timezone,
        next=planned,
        paused=deployment["paused"] or (bool(every) and not any(each["active"] for each in every)),
        declared=declared if differs else None,
    )


def _spoken(schedule: dict[str, Any]) -> str:
    if "interval" not in schedule:
        return str(schedule.get("cron") or schedule.get("rrule"))
    return f"every {format_duration(timedelta(seconds=int(schedule['interval'])))}"


def _check(flow: str) -> None:
    if flow not in SCHEDULED:
        raise UsageError(f"{flow} has no schedule of its own.", remedy=f"Name one of {', '.join(SCHEDULED)}.")


def _reach(folder: ProjectFolder, patience: float = 10.0) -> Deployments:
    """Return the project's deployments; where Prefect should be our own, in no other."""
    check_own(Project(folder), "prefect")
    return Deployments(folder, patience=patience)


def _scheduled(folder: ProjectFolder, flow: str) -> tuple[Deployments, dict[str, Any]]:
    """Return a flow's deployment in Prefect, which must have a schedule there."""
    _check(flow)
    prefect = _reach(folder)
    deployment = prefect.of(flow)
    if deployment is None:
        raise UnavailableError(
            f"The deployment of {flow}", folder.prefect_uri, remedy="Run `mlops up`, which registers it."
        )
    if not deployment["schedules"]:
        raise UsageError(
            f"{flow} has no schedule.", remedy=f'Give it one: `mlops schedule set {flow} "0 6 * * *"`.'
        )
    return prefect, deployment
