"""The runner: serves the project's flows to Prefect, with the reconciler beside them.

Run as ``python -m mlops.orchestration.runner PROJECT``; `mlops up` does.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from mlops.config import Project, find_project
from mlops.orchestration.prefect_api import connect, environment, load_flow

__all__ = ["FLOWS", "deployments", "main"]

FLOWS = ("ingest", "train", "monitor", "retrain", "deploy")


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


def main() -> None:
    """Serve until told to stop."""
    project = find_project(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.update(environment(project))
    # All that is imported here is imported while Prefect's server, started beside, comes up.
    from prefect import serve

    from mlops.orchestration.reconciler import Reconciler

    made = deployments(project)
    connect(project, quiet=False, patience=120)
    Reconciler(project).start()
    serve(*made, limit=4, print_starting_message=False)


if __name__ == "__main__":
    main()
