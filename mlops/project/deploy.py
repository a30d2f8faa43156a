"""Placing: a promoted version behind the gateway, with intent and outcome in the ledger; no Prefect in it."""

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
from mlops.project.context import Project

__all__ = ["bring_back", "name_of", "place", "serving"]

log = logging.getLogger("mlops")


def serving(project: Project) -> tuple[Entry[DeploymentServed], Serving] | None:
    """Return what serves: the ledger's newest deployment, if it runs and the gateway leads to it."""
    entry = project.ledger.last(DeploymentServed)
    if entry is None:
        return None
    address = project.gateway.current()
    for running in (service for target in project.targets for service in target.running()):
        if running.id == entry.record.deployment and running.address == address:
            return entry, running
    return None


def bring_back(project: Project) -> Entry[DeploymentServed] | None:
    """Start again what the ledger says serves, where it is gone, as after a reboot.

    Returns
    -------
    The ledger's new ``deployment.served``; None where something serves, or nothing was ever deployed.
    """
    if project.ledger.last(DeploymentServed) is None:
        return None
    with project.lock("deploy"):
        address = project.gateway.current()
        # Whatever it is: to put another in its place is for a deployment to decide.
        if any(running.address == address for target in project.targets for running in target.running()):
            return None
        return place(project, project.served())[0]


def place(project: Project, promoted: Entry[ModelPromoted]) -> tuple[Entry[DeploymentServed], Serving]:
    """Start a version beside the one that serves and switch when it is ready.

    Call it with the lock ``deploy``. Returns the ledger's ``deployment.served``, and the service.

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
        made = swap(project.target, project.gateway, spec)
    except BaseException as exc:
        reason = str(exc) or type(exc).__name__
        failed = DeploymentFailed(deployment=id, version=version, digest=digest, reason=reason)
        project.ledger.record(failed, cause=promoted)
        raise
    deployed = DeploymentServed(
        deployment=id, version=version, digest=digest, target=made.target, image=made.image
    )
    served = project.ledger.record(deployed, cause=promoted, as_of=promoted.as_of)
    log.info("version %s serves at %s (%s)", version, project.folder.address, made.target)
    _clear(project)
    return served, made


def name_of(project: Project, promoted: Entry[ModelPromoted]) -> str:
    """Return the id of a promotion's deployment, within the limits and from the base that are set now.

    Begun again after a kill, it finds what it started. With other limits it is another deployment,
    which takes the place of the first.
    """
    made = {"target": project.target.name, **_limits(project), **project.target.built_from()}
    version = f"{project.params.data.name}-v{promoted.record.version}"
    return f"{version}-{promoted.id[:6]}-{hashing.of_value(made)[:6]}"


def _limits(project: Project) -> dict[str, Any]:
    given = project.params.deploy
    return {
        "memory": given.memory,
        "cpus": given.cpus,
        "max_rows": given.max_rows,
        "max_body": given.max_body,
        "fsync": project.folder.settings.fsync,
    }


def _spec(project: Project, promoted: Entry[ModelPromoted]) -> Spec:
    return Spec(
        id=name_of(project, promoted),
        version=promoted.record.version,
        bundle=project.bundle_of(promoted).folder,
        digest=promoted.record.digest,
        log=project.folder.predictions,
        **_limits(project),
    )


def _clear(project: Project) -> None:
    """End services that an engine which came or went has left behind, and what nobody needs."""
    try:
        for target in project.targets:
            if target.name != project.target.name:
                for service in target.running(unhealthy=True):
                    target.stop(service, drain=5)
            target.prune(keep=project.params.deploy.keep)
    except MlopsError as exc:
        log.warning("left behind, for the next deployment to clear: %s", exc)
