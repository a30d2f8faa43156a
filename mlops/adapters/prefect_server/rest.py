"""The flows' deployments in Prefect: what is registered, planned and overdue.

Over its REST API with the standard library alone: to look, a verb imports nothing heavy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from mlops.config.project_folder import ProjectFolder
from mlops.errors import MlopsError, UnavailableError
from mlops.net import credentials
from mlops.net.request import NO_ANSWER, send, why

__all__ = ["FLOWS", "Deployments"]

FLOWS = ("ingest", "train", "monitor", "score", "retrain", "deploy")
"""Those that the runner registers, in this order."""

_PAGE = 200
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts where Prefect's database is busy, which it says with a 503."""
_SETTLING = (0.0, 0.5, 1.0)
"""Seconds before each look for runs of a schedule that is gone: its planner may have read it before."""
_WAITING = {"name": {"any_": ["Scheduled", "Late"]}}
"""What no runner has taken up; a run that waits for a place or a retry has been."""


class Deployments:
    """A project's deployments.

    Every method raises `UnavailableError` where Prefect does not answer, and `MlopsError` where
    it refuses.
    """

    def __init__(self, folder: ProjectFolder, *, patience: float = 10.0) -> None:
        self._project = folder
        self._patience = patience
        self._access = credentials.to_prefect(folder.settings)

    def of(self, flow: str) -> dict[str, Any] | None:
        """Return a flow's deployment, or None before the runner first registered it."""
        found: dict[str, Any] | None = self._ask(
            "GET", f"/deployments/name/{flow}/{self._project.params.data.name}", none=404
        )
        return found

    def all(self) -> list[dict[str, Any]]:
        """Return the deployments of all flows."""
        which = {"name": {"any_": [self._project.params.data.name]}}
        found: list[dict[str, Any]] = self._ask("POST", "/deployments/filter", {"deployments": which})
        return found

    def add_schedule(self, deployment: str, schedule: dict[str, Any], *, slug: str) -> None:
        """Add an active schedule; known by its slug afterwards."""
        self._ask("POST", f"/deployments/{deployment}/schedules", [{"schedule": schedule, "slug": slug}])

    def change_schedule(self, deployment: str, id: str, **changes: Any) -> None:
        """Change `schedule` or `active` of a schedule; what is not named stays, whoever set it."""
        self._ask("PATCH", f"/deployments/{deployment}/schedules/{id}", changes)

    def remove_schedule(self, deployment: str, id: str) -> None:
        """Remove a schedule and the runs it planned, those too that Prefect was about to write."""
        self._ask("DELETE", f"/deployments/{deployment}/schedules/{id}")
        for pause in _SETTLING:
            time.sleep(pause)
            for run in self._runs({"id": {"any_": [deployment]}}, "EXPECTED_START_TIME_ASC"):
                if (run["created_by"] or {}).get("id") == id:
                    self._ask("DELETE", f"/flow_runs/{run['id']}", none=404)

    def pause(self, deployment: str) -> None:
        """Let all schedules of a deployment rest; the runs they planned are gone."""
        self._ask("POST", f"/deployments/{deployment}/pause_deployment")

    def resume(self, deployment: str) -> None:
        """Let the active schedules of a deployment plan runs again."""
        self._ask("POST", f"/deployments/{deployment}/resume_deployment")

    def plan(self, deployment: str) -> None:
        """Plan the runs of active schedules now, even of a paused deployment.

        Prefect by itself looks once a minute, and leaves out what is paused.
        """
        self._ask("POST", f"/deployments/{deployment}/schedule", {})

    def next_runs(self, deployments: Sequence[str]) -> dict[str, datetime]:
        """Return when the next planned run of each deployment is; overdue ones are next too."""
        which = {"id": {"any_": list(deployments)}}
        runs = self._runs(which, "NEXT_SCHEDULED_START_TIME_ASC") if deployments else []
        return {run["deployment_id"]: _planned(run) for run in reversed(runs)}

    def overdue(self, now: datetime) -> list[dict[str, Any]]:
        """Return runs of ours that schedules planned for before `now` and nobody has begun, newest first.

        Not more than a page of them: look again once these are dealt with.
        """
        # Flow and name together are one deployment: others on the same Prefect may share the name alone.
        runs = self._runs(
            {"name": {"any_": [self._project.params.data.name]}},
            "EXPECTED_START_TIME_DESC",
            flows=FLOWS,
            next_scheduled_start_time={"before_": now.isoformat()},
            tags={"all_": ["auto-scheduled"]},
        )
        return sorted(runs, key=_planned, reverse=True)

    def end(self, run: str, *, name: str, message: str) -> bool:
        """End a run that has not begun; tell whether Prefect agreed."""
        state = {"type": "CANCELLED", "name": name, "message": message}
        return bool(self._ask("POST", f"/flow_runs/{run}/set_state", {"state": state})["status"] == "ACCEPT")

    def _runs(
        self, which: dict[str, Any], sort: str, *, flows: Sequence[str] = (), **wanted: Any
    ) -> list[dict[str, Any]]:
        body = {
            "flows": {"name": {"any_": list(flows)}} if flows else None,
            "deployments": which,
            "flow_runs": {"state": _WAITING, **wanted},
            "sort": sort,
            "limit": _PAGE,
        }
        runs: list[dict[str, Any]] = self._ask("POST", "/flow_runs/filter", body)
        return runs

    def _ask(self, method: str, path: str, body: Any = None, *, none: int | None = None) -> Any:
        """Return what Prefect answers; None where it answers with the status `none`, or nothing."""
        status, content = self._send(method, path, body)
        for pause in _PAUSES:
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause)
            status, content = self._send(method, path, body)
        if status == none:
            return None
        if status >= 400:
            locked = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
            raise MlopsError(
                f"Prefect refuses {method} {path}: {status} {content.decode(errors='replace')[:300]}",
                remedy=self._access.remedy
                if locked
                else f"See its log; it answers at {self._project.prefect_uri}.",
            )
        try:
            return json.loads(content) if content else None
        except ValueError as exc:
            raise self._away("who answers is no Prefect") from exc

    def _send(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        address, sent = self._project.prefect_uri + path, None if body is None else json.dumps(body).encode()
        try:
            return send(method, address, sent, timeout=self._patience, access=self._access)
        except NO_ANSWER as exc:
            raise self._away(why(exc, self._patience)) from exc

    def _away(self, cause: str) -> UnavailableError:
        return UnavailableError(
            "Prefect",
            self._project.prefect_uri,
            remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
            cause=cause,
        )


def _planned(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["next_scheduled_start_time"])
