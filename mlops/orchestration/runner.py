"""The runner: serves the project's flows to Prefect, and reconciles the ledger with what happened.

Run as ``python -m mlops.orchestration.runner PROJECT``; `mlops up` does.
"""

from __future__ import annotations

import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlops.config import Project, find_project
from mlops.errors import MlopsError
from mlops.orchestration.loop import Loop
from mlops.orchestration.prefect_api import connect, load_flow

__all__ = ["FLOWS", "deployments", "main", "reconcile"]

FLOWS = ("ingest", "train", "monitor", "retrain", "deploy")
_GRACE = timedelta(seconds=15)
"""How long the event of a confirmed drift may take before the reconciler acts in its place."""

log = logging.getLogger("mlops.runner")


def deployments(project: Project) -> list[Any]:
    """Return the project's flows as Prefect deployments, with their triggers and schedules."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.events import DeploymentEventTrigger

    from mlops.orchestration.watching import DRIFT_EVENT, model_resource

    name = project.params.data.name
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    on_drift = DeploymentEventTrigger(
        name=f"{name}: retrain on confirmed drift",
        description="Confirmed drift of the served model starts the retraining flow.",
        expect={DRIFT_EVENT},
        match={"prefect.resource.id": model_resource(name)},
        parameters={"as_of": "{{ event.payload.as_of }}", "cause": "{{ event.payload.cause }}"},
    )
    schedule = project.params.schedule
    crons = {"monitor": schedule.monitor, "retrain": schedule.retrain}
    made = []
    for flow in FLOWS:
        loaded = load_flow(project, flow)
        made.append(
            loaded.to_deployment(
                name=name,
                cron=crons.get(flow),
                description=loaded.description,
                concurrency_limit=one if flow in {"retrain", "deploy"} else None,
                triggers=[on_drift] if flow == "retrain" else None,
                tags=["mlops", name],
            )
        )
        # The entrypoint is read again at each run, so that an edited flow needs no restart.
        made[-1].entrypoint = f"{project.root / 'flows' / flow}.py:{flow}"
    return made


def reconcile(loop: Loop, start: Any, *, now: datetime) -> list[str]:
    """Start what an event or a killed process missed.

    Parameters
    ----------
    start
        Called with a flow's name, its parameters and a key under which Prefect starts it once.

    Returns
    -------
    A line for each thing started.
    """
    from mlops.orchestration.deploying import serving
    from mlops.orchestration.retraining import unanswered

    done = []
    if not _busy(loop, "retrain"):
        for drift in unanswered(loop):
            if now - drift.recorded_at < _GRACE:
                continue
            as_of = drift.as_of.isoformat() if drift.as_of else None
            attempts = sum(e.kind == "retrain.started" for e in loop.ledger.effects(drift))
            start("retrain", {"as_of": as_of, "cause": drift.id}, f"{drift.id}-{attempts}")
            done.append(f"retraining for the drift {drift.id[:8]}")
            break
    champion = loop.champion
    deployed = loop.ledger.last("deployment.served")
    if (
        champion
        and deployed
        and champion.body["digest"] != deployed.body["digest"]
        and now - champion.recorded_at > 4 * _GRACE
        and not _busy(loop, "deploy")
        and serving(loop) is not None
    ):
        attempts = sum(e.kind == "deployment.failed" for e in loop.ledger.entries("deployment.failed"))
        start("deploy", {}, f"{champion.id}-{attempts}")
        done.append(f"deployment of version {champion.body['version']}")
    return done


def main() -> None:
    """Serve until told to stop."""
    project = find_project(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    connect(project, quiet=False)
    _Reconciler(project).start()
    from prefect import serve

    serve(*deployments(project), limit=4, print_starting_message=False)


class _Reconciler(threading.Thread):
    """Looks at the ledger every so often, beside the runner."""

    def __init__(self, project: Project) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._project = project
        self._wake = threading.Event()

    def run(self) -> None:
        while not self._wake.wait(self._project.settings.reconcile_every):
            try:
                # params.yaml is read anew: a person edits it while the loop runs.
                loop = Loop.at(self._project.root)
                for line in reconcile(loop, self._start_run, now=datetime.now(UTC)):
                    log.info("reconciler: started %s", line)
                loop.ledger.close()
            except MlopsError as exc:
                log.warning("reconciler: %s", exc)

    def _start_run(self, flow: str, parameters: dict[str, Any], key: str) -> None:
        from prefect.deployments import run_deployment

        name = f"{flow}/{self._project.params.data.name}"
        run_deployment(name, parameters=parameters, timeout=0, idempotency_key=key, as_subflow=False)


def _busy(loop: Loop, name: str) -> bool:
    lock = loop.lock(name, patience=0)
    try:
        with lock:
            return False
    except TimeoutError:
        return True


if __name__ == "__main__":
    main()
