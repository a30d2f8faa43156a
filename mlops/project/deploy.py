"""Roll out a promoted version behind the gateway, with intent and outcome in the ledger; without Prefect."""

from __future__ import annotations

import logging
from typing import Any

from mlops.deployment.rollout import Serving, Spec, swap
from mlops.errors import MlopsError
from mlops.files import hashing
from mlops.ledger.entry import Entry
from mlops.ledger.records import (
    DeploymentFailed,
    DeploymentServed,
    DeploymentStarted,
    ModelPromoted,
)
from mlops.prediction_log.segment import remove_unused
from mlops.project.context import Project

__all__ = ["deployment_id", "restart_serving", "roll_out", "serving"]

log = logging.getLogger("mlops")


def serving(project: Project) -> tuple[Entry[DeploymentServed], Serving] | None:
    """Return the ledger's newest deployment, if it runs and the gateway routes to it."""
    entry = project.ledger.last(DeploymentServed)
    if entry is None:
        return None
    address = project.gateway.current()
    for running in (service for target in project.targets for service in target.running()):
        if running.id == entry.record.deployment and running.address == address:
            return entry, running
    return None


def restart_serving(project: Project) -> Entry[DeploymentServed] | None:
    """Restart the ledger's newest deployment if it is gone, as after a reboot.

    Returns
    -------
    The ledger's new ``deployment.served``; None if something serves, or nothing was ever deployed.
    """
    if project.ledger.last(DeploymentServed) is None:
        return None
    with project.lock("deploy"):
        address = project.gateway.current()
        # Whatever serves is left alone: only a deployment replaces it.
        if any(running.address == address for target in project.targets for running in target.running()):
            return None
        return roll_out(project, project.served())[0]


def roll_out(project: Project, promoted: Entry[ModelPromoted]) -> tuple[Entry[DeploymentServed], Serving]:
    """Start a version beside the current deployment, and switch when it is ready.

    The caller holds the lock ``deploy``. Returns the ledger's ``deployment.served``, and the service.

    Raises
    ------
    UnavailableError
        The engine or the gateway does not respond, or the model never became ready. What
        served before still does.
    """
    spec = _spec(project, promoted)
    id, version, digest = spec.id, spec.version, spec.digest
    project.ledger.record(DeploymentStarted(deployment=id, version=version, digest=digest), cause=promoted)
    try:
        service = swap(project.target, project.gateway, spec)
    except BaseException as exc:
        reason = str(exc) or type(exc).__name__
        failed = DeploymentFailed(deployment=id, version=version, digest=digest, reason=reason)
        project.ledger.record(failed, cause=promoted)
        raise
    deployed = DeploymentServed(
        deployment=id, version=version, digest=digest, target=service.target, image=service.image
    )
    served = project.ledger.record(deployed, cause=promoted, as_of=promoted.as_of)
    log.info("version %s serves at %s (%s)", version, project.folder.address, service.target)
    _remove_stale_services(project)
    return served, service


def deployment_id(project: Project, promoted: Entry[ModelPromoted]) -> str:
    """Return the id of a promotion's deployment, with the current limits and base image.

    A repetition after a kill finds what it started. With other limits it is another deployment, which
    replaces the first.
    """
    settings = {"target": project.target.name, **_limits(project), **project.target.build_inputs}
    version = f"{project.params.data.name}-v{promoted.record.version}"
    return f"{version}-{promoted.id[:6]}-{hashing.of_value(settings)[:6]}"


def _limits(project: Project) -> dict[str, Any]:
    params = project.params.deploy
    return {
        "memory": params.memory,
        "cpus": params.cpus,
        "max_rows": params.max_rows,
        "max_body": params.max_body,
        "fsync": project.folder.settings.fsync,
        "token_digest": project.exposure.token_digest if project.exposure else "",
    }


def _spec(project: Project, promoted: Entry[ModelPromoted]) -> Spec:
    return Spec(
        id=deployment_id(project, promoted),
        version=promoted.record.version,
        bundle=project.bundle_of(promoted).folder,
        digest=promoted.record.digest,
        log=project.folder.predictions,
        **_limits(project),
    )


def _remove_stale_services(project: Project) -> None:
    """Stop services left on other targets, and prune what is no longer needed."""
    try:
        for target in project.targets:
            if target.name != project.target.name:
                for service in target.running(unhealthy=True):
                    target.stop(service, drain=5)
            target.prune(keep=project.params.deploy.keep)
        services = [service for target in project.targets for service in target.running(unhealthy=True)]
        remove_unused(project.folder.predictions, {service.id for service in services})
    except MlopsError as exc:
        log.warning("stale services not removed, the next deployment retries: %s", exc)
