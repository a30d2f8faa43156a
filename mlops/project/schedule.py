"""Schedules: declared in params.yaml, run by Prefect, where a person sees and pauses them.

Each declaration is one schedule of the flow's deployment, identified by its slug. A pause is Prefect's
state, of that schedule or of the deployment; only `resume` ends it here.
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
from mlops.project.health import check_running

__all__ = ["Upcoming", "apply", "catch_up", "declare", "pause", "resume", "upcoming"]

Run = dict[str, Any]
"""A flow run, as Prefect's API returns it."""

_SLUG = "params-yaml"
_ANCHOR = datetime(2024, 1, 1)
"""Midnight of a Monday, in the schedule's time zone: intervals count from it, whenever they were set."""


@dataclass(frozen=True)
class Upcoming:
    """When a flow runs next.

    Parameters
    ----------
    cadence
        As in Prefect if it responds, else as declared. None if the flow has no schedule.
    next
        UTC; None where nothing is planned, and where Prefect does not respond.
    paused
        None where Prefect does not respond, or does not know the flow yet.
    declared
        The cadence in params.yaml, if Prefect has another; the next `mlops up` applies it.
    """

    flow: str
    cadence: str | None
    timezone: str
    next: datetime | None = None
    paused: bool | None = None
    declared: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"next": self.next.isoformat() if self.next else None}


def upcoming(folder: ProjectFolder, *, patience: float = 2.0) -> list[Upcoming]:
    """Return each flow that may have a schedule, with its next run.

    Parameters
    ----------
    patience
        Seconds to wait for each response of Prefect.
    """
    params = folder.params.schedule
    try:
        prefect = _open_prefect(folder, patience)
        deployments = {flow: prefect.of(flow) for flow in SCHEDULED}
        planned = prefect.next_runs([each["id"] for each in deployments.values() if each])
    except MlopsError:  # no response, or the credentials were rejected: the declarations are still shown
        deployments, planned = dict.fromkeys(SCHEDULED), {}
    return [
        _from_prefect(flow, params, each, planned.get(each["id"])) if each else _from_params(flow, params)
        for flow, each in deployments.items()
    ]


def apply(folder: ProjectFolder) -> list[str]:
    """Apply the schedules of params.yaml to Prefect; return the flows whose schedule changed.

    A pause stays: a changed schedule stays active or inactive, and a deployment paused or not.
    Schedules that a person added in Prefect are left alone. A flow that the runner has not registered
    yet gets its schedule at registration.

    Raises
    ------
    UnavailableError
        Prefect does not respond.
    """
    changed = []
    # `mlops up` and the runner that it has just started may both apply them at once.
    with Project(folder).lock("schedules"):
        prefect = _open_prefect(folder)
        for flow in SCHEDULED:
            deployment = prefect.of(flow)
            if deployment is None:
                continue
            if _update_schedule(prefect, deployment, _wanted(flow, folder.params.schedule)):
                _plan(prefect, flow)
                changed.append(flow)
    return changed


def declare(folder: ProjectFolder, flow: str, when: str | None, timezone: str | None = None) -> Upcoming:
    """Write a flow's cadence to params.yaml, and to Prefect if it responds.

    Parameters
    ----------
    when
        A cron line or an interval; None removes the schedule.
    timezone
        Of all schedules; None leaves it unchanged.

    Raises
    ------
    ConfigError
        params.yaml would become invalid; neither it nor Prefect was changed.
    """
    from mlops.config.edit import change

    _check_schedulable(flow)
    if when is not None or folder.params.schedule.of(flow) is not None:
        zone = {"timezone": timezone} if timezone is not None else {}
        change(folder.root / "params.yaml", "schedule", {**zone, flow: when})
        folder = find_project(folder.root, folder.settings)
    try:
        apply(folder)
    except UnavailableError:
        return _from_params(flow, folder.params.schedule)
    return _find_upcoming(folder, flow)


def pause(folder: ProjectFolder, flow: str) -> Upcoming:
    """Pause a flow's schedule until `resume`, or a person in Prefect, ends the pause.

    Raises
    ------
    UnavailableError
        Prefect does not respond, or does not know the flow yet.
    UsageError
        The flow has no schedule.
    """
    prefect, deployment = _scheduled(folder, flow)
    prefect.pause(deployment["id"])
    return _find_upcoming(folder, flow)


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
    return _find_upcoming(folder, flow)


def catch_up(folder: ProjectFolder, *, now: datetime) -> int:
    """Skip every schedule's overdue runs but the newest; return how many were skipped.

    Runs missed while the machine was off or asleep are made up once per schedule. A person's own
    schedule of the same flow counts separately, because its parameters may differ.

    Raises
    ------
    UnavailableError
        Prefect does not respond.
    """
    skipped, prefect = 0, _open_prefect(folder)
    # Page by page, until none is left, or the rest has started meanwhile.
    while ended := sum(_skip(prefect, *pair) for pair in _superseded(prefect.overdue(now))):
        skipped += ended
    return skipped


def _superseded(overdue: list[Run]) -> list[tuple[Run, Run]]:
    """Pair each superseded run with the newest of its schedule; `overdue` is newest first."""
    newest: dict[tuple[str, str | None], Run] = {}
    pairs = [(run, newest.setdefault(_planner(run), run)) for run in overdue]
    return [(run, latest) for run, latest in pairs if run is not latest]


def _planner(run: Run) -> tuple[str, str | None]:
    """Return a run's deployment, and the schedule that planned it."""
    return run["deployment_id"], (run["created_by"] or {}).get("id")


def _skip(prefect: Deployments, run: Run, latest: Run) -> bool:
    planned = latest["next_scheduled_start_time"][:16].replace("T", " ")
    reason = f"Missed while the loop did not run; the run planned for {planned} UTC makes up for it."
    return prefect.end(run["id"], name="Skipped", message=reason)


def _update_schedule(prefect: Deployments, deployment: dict[str, Any], wanted: dict[str, Any] | None) -> bool:
    """Change the deployment's schedule to the wanted one; tell whether anything changed."""
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
    """Plan a flow's runs now, unless it is paused: Prefect itself would plan them all the same."""
    deployment = prefect.of(flow)
    if deployment is None or deployment["paused"]:
        return
    prefect.plan(deployment["id"])
    after = prefect.of(flow)
    if after is not None and after["paused"]:  # paused in between: pausing again removes the runs
        prefect.pause(after["id"])


def _wanted(flow: str, params: ScheduleParams) -> dict[str, Any] | None:
    """Return a flow's declared schedule as Prefect's API takes it."""
    cadence = params.of(flow)
    if cadence is None:
        return None
    if cadence.every is None:
        return {"cron": cadence.text, "timezone": params.timezone}
    # In UTC: in another zone Prefect counts wall-clock time from an anchor computed in elapsed hours,
    # and runs once too often where daylight saving begins or ends.
    anchor = _ANCHOR.replace(tzinfo=ZoneInfo(params.timezone)).astimezone(UTC).isoformat()
    return {"interval": cadence.every.total_seconds(), "anchor_date": anchor, "timezone": "UTC"}


def _same(current: dict[str, Any] | None, wanted: dict[str, Any] | None) -> bool:
    if current is None or wanted is None:
        return current is wanted
    return all(_plain(key, current.get(key)) == _plain(key, value) for key, value in wanted.items())


def _plain(key: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if key == "anchor_date" and value else value


def _ours(deployment: dict[str, Any]) -> dict[str, Any] | None:
    return next((each for each in deployment["schedules"] if each["slug"] == _SLUG), None)


def _find_upcoming(folder: ProjectFolder, flow: str) -> Upcoming:
    return next(each for each in upcoming(folder, patience=10) if each.flow == flow)


def _from_params(flow: str, params: ScheduleParams) -> Upcoming:
    cadence = params.of(flow)
    return Upcoming(flow, str(cadence) if cadence else None, params.timezone)


def _from_prefect(
    flow: str, params: ScheduleParams, deployment: dict[str, Any], planned: datetime | None
) -> Upcoming:
    ours, every = _ours(deployment), deployment["schedules"]
    declared = str(params.of(flow) or "none")
    differs = not _same(ours and ours["schedule"], _wanted(flow, params))
    cadences = [declared if each is ours and not differs else _cadence_of(each["schedule"]) for each in every]
    shown = (ours or (every[0] if every else {})).get("schedule", {})
    zone = None if ours and not differs else shown.get("timezone")
    return Upcoming(
        flow,
        "; ".join(cadences) or None,
        zone or params.timezone,
        next=planned,
        paused=deployment["paused"] or (bool(every) and not any(each["active"] for each in every)),
        declared=declared if differs else None,
    )


def _cadence_of(schedule: dict[str, Any]) -> str:
    if "interval" not in schedule:
        return str(schedule.get("cron") or schedule.get("rrule"))
    return f"every {format_duration(timedelta(seconds=int(schedule['interval'])))}"


def _check_schedulable(flow: str) -> None:
    if flow not in SCHEDULED:
        raise UsageError(f"{flow} cannot be scheduled.", remedy=f"Choose one of {', '.join(SCHEDULED)}.")


def _open_prefect(folder: ProjectFolder, patience: float = 10.0) -> Deployments:
    """Return the project's deployments in Prefect; never those of another project's server."""
    check_running(Project(folder), "prefect")
    return Deployments(folder, patience=patience)


def _scheduled(folder: ProjectFolder, flow: str) -> tuple[Deployments, dict[str, Any]]:
    """Return a flow's deployment in Prefect, which must have a schedule there."""
    _check_schedulable(flow)
    prefect = _open_prefect(folder)
    deployment = prefect.of(flow)
    if deployment is None:
        raise UnavailableError(
            f"The deployment of {flow}", folder.prefect_uri, remedy="Run `mlops up`, which registers it."
        )
    if not deployment["schedules"]:
        raise UsageError(
            f"{flow} has no schedule.", remedy=f'Set one: `mlops schedule set {flow} "0 6 * * *"`.'
        )
    return prefect, deployment
