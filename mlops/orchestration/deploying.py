"""Deploying: a promoted version behind the gateway, with intent and outcome in the ledger."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

from mlops.deployment import Serving, Spec, swap
from mlops.errors import MlopsError
from mlops.ledger import Entry
from mlops.orchestration.loop import Loop
from mlops.orchestration.step import step

__all__ = ["deploy", "serving"]

log = logging.getLogger("mlops")


@step(name="deploy behind the gateway", timeout=600)
def deploy(root: Path, promoted: Entry) -> Entry:
    """Start the version beside the one that serves, switch when it is ready.

    Returns
    -------
    The ledger's ``deployment.served``: id, version, digest, target. Where that version
    serves already, the entry that says so.

    Raises
    ------
    UnavailableError
        The engine or the gateway does not answer, or the model never became ready. What
        served before still does.
    """
    loop = Loop.at(root)
    with loop.lock("deploy"):
        running = serving(loop)
        if running is not None and running[0].body["digest"] == promoted.body["digest"]:
            return running[0]
        return _deploy(loop, promoted)


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


def _deploy(loop: Loop, promoted: Entry) -> Entry:
    body, limits = promoted.body, loop.params.deploy
    bundle = loop.bundle_of(promoted)
    id = f"{loop.params.data.name}-v{body['version']}-{uuid.uuid4().hex[:6]}"
    intent = loop.ledger.record(
        "deployment.started", cause=promoted, deployment=id, version=body["version"], digest=body["digest"]
    )
    spec = Spec(
        id=id,
        version=str(body["version"]),
        bundle=bundle.folder,
        digest=body["digest"],
        log=loop.project.predictions,
        memory=limits.memory,
        cpus=limits.cpus,
        max_rows=limits.max_rows,
        max_body=limits.max_body,
        fsync=loop.project.settings.fsync,
    )
    try:
        made = swap(loop.target, loop.gateway, spec)
    except MlopsError as exc:
        loop.ledger.record("deployment.failed", cause=intent, deployment=id, why=str(exc))
        raise
    _clear(loop)
    log.info("version %s serves at %s (%s)", body["version"], loop.project.address, made.target)
    return loop.ledger.record(
        "deployment.served",
        cause=intent,
        as_of=promoted.as_of,
        deployment=id,
        version=body["version"],
        digest=body["digest"],
        target=made.target,
    )


def _clear(loop: Loop) -> None:
    """End services that an engine which came or went has left behind, and images nobody needs."""
    for target in loop.targets:
        if target is not loop.target:
            for service in target.running():
                target.stop(service, drain=5)
        target.prune(keep=loop.params.deploy.keep)
