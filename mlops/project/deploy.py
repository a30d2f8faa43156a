"""Placing: a promoted version behind the gateway, with intent and outcome in the ledger; no Prefect in it."""

from __future__ import annotations

import logging
from typing import Any

from mlops.deployment.rollout import Serving, Spec, swap
from mlops.errors import MlopsError
from mlops.files import hashing
from mlops.ledger.store import Entry
from mlops.project.context import Loop

__all__ = ["bring_back", "name_of", "place", "serving"]

log = logging.getLogger("mlops")


def serving(loop: Loop) -> tuple[Entry, Serving] | None:
    """Return what serves: the ledger's newest deployment, if it runs and the gateway leads to it."""
    entry = loop.ledger.last("deployment.served")
    if entry is None:
        return None
    address = loop.gateway.current()
    for running in (service for target in loop.targets for service in target.running()):
        if running.id == entry.body["deployment"] and running.address == address:
            return entry, running
    return None


def bring_back(loop: Loop) -> Entry | None:
    """Start again what the ledger says serves, where it is gone, as after a reboot.

    Returns
    -------
    The ledger's new ``deployment.served``; None where something serves, or nothing was ever deployed.
    """
    if loop.ledger.last("deployment.served") is None:
        return None
    with loop.lock("deploy"):
        address = loop.gateway.current()
        # Whatever it is: to put another in its place is for a deployment to decide.
        if any(running.address == address for target in loop.targets for running in target.running()):
            return None
        return place(loop, loop.served())[0]


def place(loop: Loop, promoted: Entry) -> tuple[Entry, Serving]:
    """Start a version beside the one that serves and switch when it is ready.

    Call it with the lock ``deploy``. Returns the ledger's ``deployment.served``, and the service.

    Raises
    ------
    UnavailableError
        The engine or the gateway does not answer, or the model never became ready. What
        served before still does.
    """
    spec = _spec(loop, promoted)
    facts = {"deployment": spec.id, "version": promoted.body["version"], "digest": spec.digest}
    loop.ledger.record("deployment.started", cause=promoted, **facts)
    try:
        made = swap(loop.target, loop.gateway, spec)
    except BaseException as exc:
        loop.ledger.record("deployment.failed", cause=promoted, why=str(exc) or type(exc).__name__, **facts)
        raise
    served = loop.ledger.record(
        "deployment.served",
        cause=promoted,
        as_of=promoted.as_of,
        target=made.target,
        image=made.image,
        **facts,
    )
    log.info("version %s serves at %s (%s)", facts["version"], loop.project.address, made.target)
    _clear(loop)
    return served, made


def name_of(loop: Loop, promoted: Entry) -> str:
    """Return the id of a promotion's deployment, within the limits and from the base that are set now.

    Begun again after a kill, it finds what it started. With other limits it is another deployment,
    which takes the place of the first.
    """
    made: dict[str, Any] = {"target": loop.target.name, **_limits(loop)}
    if loop.target.name == "docker":
        root = loop.project.root
        made["base"] = loop.project.settings.base_image
        made["files"] = [hashing.of_file(root / name) for name in ("requirements.lock", "models/Dockerfile")]
    version = f"{loop.params.data.name}-v{promoted.body['version']}"
    return f"{version}-{promoted.id[:6]}-{hashing.of_value(made)[:6]}"


def _limits(loop: Loop) -> dict[str, Any]:
    given = loop.params.deploy
    return {
        "memory": given.memory,
        "cpus": given.cpus,
        "max_rows": given.max_rows,
        "max_body": given.max_body,
        "fsync": loop.project.settings.fsync,
    }


def _spec(loop: Loop, promoted: Entry) -> Spec:
    return Spec(
        id=name_of(loop, promoted),
        version=str(promoted.body["version"]),
        bundle=loop.bundle_of(promoted).folder,
        digest=promoted.body["digest"],
        log=loop.project.predictions,
        **_limits(loop),
    )


def _clear(loop: Loop) -> None:
    """End services that an engine which came or went has left behind, and what nobody needs."""
    try:
        for target in loop.targets:
            if target is not loop.target:
                for service in target.running(ailing=True):
                    target.stop(service, drain=5)
            target.prune(keep=loop.params.deploy.keep)
    except MlopsError as exc:
        log.warning("left behind, for the next deployment to clear: %s", exc)
