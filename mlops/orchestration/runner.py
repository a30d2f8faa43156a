"""The runner: serves the project's flows to Prefect, with the reconciler beside them.

Run as ``python -m mlops.orchestration.runner PROJECT``; `mlops up` does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.adapters.prefect_server.environment import connect, environment, project_tags
from mlops.adapters.prefect_server.rest import FLOWS
from mlops.addresses import mask_logs
from mlops.config.clean_environment import clean_process
from mlops.config.project_folder import ProjectFolder, find_project
from mlops.net.credentials import variables
from mlops.orchestration.run_flow import load_flow
from mlops.project import name_check, schedule
from mlops.project.context import Project

__all__ = ["deployments", "main"]

log = logging.getLogger("mlops.runner")


def deployments(folder: ProjectFolder) -> list[Any]:
    """Return the project's flows as Prefect deployments, with their triggers.

    Schedules and pauses are not part of the registration: existing ones stay, and `schedule.apply`
    changes them.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.events import DeploymentEventTrigger

    from mlops.orchestration import flow_run
    from mlops.orchestration.tasks.monitor import DRIFT_EVENT, model_resource

    name = folder.params.data.name
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    on_drift = DeploymentEventTrigger(
        name=f"{name}: retrain on confirmed drift",
        description="Drift that `monitor` confirms starts `retrain`, with its time and its cause. "
        "The `retrain` policy in params.yaml decides whether it trains.",
        expect={DRIFT_EVENT},
        match={"prefect.resource.id": model_resource(name)},
        parameters={"as_of": "{{ event.payload.as_of }}", "cause": "{{ event.payload.cause }}"},
    )
    registered = []
    for flow in FLOWS:
        if not (folder.root / "flows" / f"{flow}.py").is_file():
            log.warning("flows/%s.py is missing: restore it from the project's template", flow)
            continue
        loaded = load_flow(folder, flow)
        registered.append(
            loaded.to_deployment(
                name=name,
                description=flow_run.description(loaded.description),
                concurrency_limit=one if flow in {"retrain", "deploy"} else None,
                triggers=[on_drift] if flow == "retrain" else None,
                tags=[*project_tags(folder), *name_check.owner_tags(Project(folder))],
            )
        )
        # Fields that are not set are not sent. Prefect would apply their defaults, and end a pause.
        registered[-1].model_fields_set.difference_update({"paused", "schedules"})
        # The entrypoint is read at each run, so that an edited flow needs no restart.
        registered[-1].entrypoint = f"{folder.root / 'flows' / flow}.py:{flow}"
    return registered


def main() -> None:
    """Serve the flows until a signal stops the process."""
    folder = find_project(Path(sys.argv[1]))
    mask_logs()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    clean_process()
    os.environ.update(environment(folder) | variables(folder.settings))
    # Imported here, so that it happens while Prefect's server comes up beside us.
    from prefect.exceptions import TerminationSignal
    from prefect.runner import Runner

    from mlops.orchestration.reconciler import Reconciler

    served = deployments(folder)
    connect(folder, quiet=False, patience=120)
    # By default a runner pauses its schedules at shutdown, and the next start could not distinguish
    # that from a person's pause.
    runner = Runner(limit=4, pause_on_shutdown=False)
    for deployment in served:
        runner.add_deployment(deployment)
    schedule.apply(folder)
    if skipped := schedule.catch_up(folder, now=datetime.now(UTC)):
        log.info("skipped %d runs missed while the loop did not run", skipped)
    Reconciler(folder).start()
    # At a stop signal it ends the runs that it started.
    with suppress(KeyboardInterrupt, TerminationSignal):
        asyncio.run(runner.start())


if __name__ == "__main__":
    main()
