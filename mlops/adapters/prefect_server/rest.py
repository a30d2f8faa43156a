"""The flows' deployments in Prefect: schedules, planned and overdue runs.

By its REST API and the standard library, so that commands which only read import nothing heavy.
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
from mlops.net.request import REQUEST_ERRORS, describe, send

__all__ = ["FLOWS", "Deployments"]

FLOWS = ("ingest", "train", "monitor", "score", "retrain", "deploy")
"""The flows that the runner registers, in this order."""

_PAGE = 200
_RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts while Prefect's database is busy (HTTP 503)."""
_PLANNER_DELAYS = (0.0, 0.5, 1.0)
"""Seconds before each search for runs of a removed schedule: the planner may have read it before."""
_NOT_STARTED = {"name": {"any_": ["Scheduled", "Late"]}}
"""States of runs that no runner has picked up; one that waits for a slot or a retry has been."""


class Deployments:
    """A project's deployments.

    Every method raises `UnavailableError` where Prefect does not respond, and `MlopsError` where it
    rejects the request.
    """

    def __init__(self, folder: ProjectFolder, *, patience: float = 10.0) -> None:
        self._project = folder
        self._patience = patience
        self._access = credentials.for_prefect(folder.settings)

    def of(self, flow: str) -> dict[str, Any] | None:
        """Return a flow's deployment, None before the runner first registered it."""
        deployment: dict[str, Any] | None = self._request(
            "GET", f"/deployments/name/{flow}/{self._project.params.data.name}", none=404
        )
        return deployment

    def all(self) -> list[dict[str, Any]]:
        """Return the deployments of all flows."""
        by_name = {"name": {"any_": [self._project.params.data.name]}}
        deployments: list[dict[str, Any]] = self._request(
            "POST", "/deployments/filter", {"deployments": by_name}
        )
        return deployments

    def add_schedule(self, deployment: str, schedule: dict[str, Any], *, slug: str) -> None:
        """Add an active schedule, identified by its slug."""
        self._request("POST", f"/deployments/{deployment}/schedules", [{"schedule": schedule, "slug": slug}])

    def change_schedule(self, deployment: str, id: str, **changes: Any) -> None:
        """Change `schedule` or `active` of a schedule; fields that are not passed stay."""
        self._request("PATCH", f"/deployments/{deployment}/schedules/{id}", changes)

    def remove_schedule(self, deployment: str, id: str) -> None:
        """Remove a schedule and its planned runs, including those that the planner was about to write."""
        self._request("DELETE", f"/deployments/{deployment}/schedules/{id}")
        for delay in _PLANNER_DELAYS:
            time.sleep(delay)
            for run in self._runs({"id": {"any_": [deployment]}}, "EXPECTED_START_TIME_ASC"):
                if (run["created_by"] or {}).get("id") == id:
                    self._request("DELETE", f"/flow_runs/{run['id']}", none=404)

    def pause(self, deployment: str) -> None:
        """Pause all schedules of a deployment; Prefect deletes their planned runs."""
        self._request("POST", f"/deployments/{deployment}/pause_deployment")

    def resume(self, deployment: str) -> None:
        """Resume the active schedules of a deployment."""
        self._request("POST", f"/deployments/{deployment}/resume_deployment")

    def plan(self, deployment: str) -> None:
        """Plan the runs of active schedules now, even of a paused deployment.

        Prefect's own planner runs once a minute, and skips paused deployments.
        """
        self._request("POST", f"/deployments/{deployment}/schedule", {})

    def next_runs(self, deployments: Sequence[str]) -> dict[str, datetime]:
        """Return the time of each deployment's next planned run, overdue ones included."""
        by_id = {"id": {"any_": list(deployments)}}
        runs = self._runs(by_id, "NEXT_SCHEDULED_START_TIME_ASC") if deployments else []
        return {run["deployment_id"]: _planned(run) for run in reversed(runs)}

    def overdue(self, now: datetime) -> list[dict[str, Any]]:
        """Return the project's scheduled runs due before `now` that have not started, newest first.

        At most one page: call again once these are handled.
        """
        # Flow and name together identify a deployment; other projects' flows may have the same name.
        runs = self._runs(
            {"name": {"any_": [self._project.params.data.name]}},
            "EXPECTED_START_TIME_DESC",
            flows=FLOWS,
            next_scheduled_start_time={"before_": now.isoformat()},
            tags={"all_": ["auto-scheduled"]},
        )
        return sorted(runs, key=_planned, reverse=True)

    def end(self, run: str, *, name: str, message: str) -> bool:
        """Cancel a run that has not started; return whether Prefect accepted."""
        state = {"type": "CANCELLED", "name": name, "message": message}
        return bool(
            self._request("POST", f"/flow_runs/{run}/set_state", {"state": state})["status"] == "ACCEPT"
        )

    def _runs(
        self, deployments: dict[str, Any], sort: str, *, flows: Sequence[str] = (), **flow_runs: Any
    ) -> list[dict[str, Any]]:
        body = {
            "flows": {"name": {"any_": list(flows)}} if flows else None,
            "deployments": deployments,
            "flow_runs": {"state": _NOT_STARTED, **flow_runs},
            "sort": sort,
            "limit": _PAGE,
        }
        runs: list[dict[str, Any]] = self._request("POST", "/flow_runs/filter", body)
        return runs

    def _request(self, method: str, path: str, body: Any = None, *, none: int | None = None) -> Any:
        """Return the response's JSON; None for an empty response or the status `none`."""
        status, content = self._send(method, path, body)
        for delay in _RETRY_DELAYS:
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(delay)
            status, content = self._send(method, path, body)
        if status == none:
            return None
        if status >= 400:
            unauthorized = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
            raise MlopsError(
                f"Prefect rejected {method} {path}: {status} {content.decode(errors='replace')[:300]}",
                remedy=self._access.remedy
                if unauthorized
                else f"See the log of the server at {self._project.prefect_uri}.",
            )
        try:
            return json.loads(content) if content else None
        except ValueError as exc:
            raise self._unavailable("another service answers there") from exc

    def _send(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        address = self._project.prefect_uri + path
        content = None if body is None else json.dumps(body).encode()
        try:
            return send(method, address, content, timeout=self._patience, access=self._access)
        except REQUEST_ERRORS as exc:
            raise self._unavailable(describe(exc, self._patience)) from exc

    def _unavailable(self, cause: str) -> UnavailableError:
        return UnavailableError(
            "Prefect",
            self._project.prefect_uri,
            remedy="Start it with `mlops up`, or set PREFECT_API_URL to the one you use.",
            cause=cause,
        )


def _planned(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["next_scheduled_start_time"])
