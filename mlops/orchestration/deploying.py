"""Deploying: a promoted version behind the gateway, with intent and outcome in the ledger."""

from __future__ import annotations

import logging
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
    spec = _spec(loop, promoted)
    facts = {"deployment": spec.id, "version": promoted.body["version"], "digest": spec.digest}
    loop.ledger.record("deployment.started", cause=promoted, **facts)
    try:
        made = swap(loop.target, loop.gateway, spec)
    except BaseException as exc:
        loop.ledger.record("deployment.failed", cause=promoted, why=str(exc) or type(exc).__name__, **facts)
        raise
    served = loop.ledger.record(
        "deployment.served", cause=promoted, as_of=promoted.as_of, target=made.target, **facts
    )
    log.info("version %s serves at %s (%s)", facts["version"], loop.project.address, made.target)
    _clear(loop)
    return served


def _spec(loop: Loop, promoted: Entry) -> Spec:
    body, limits = promoted.body, loop.params.deploy
    return Spec(
        # One promotion is one deployment: begun again after a kill, it finds what it started.
        id=f"{loop.params.data.name}-v{body['version']}-{promoted.id[:6]}",
        version=str(body["version"]),
        bundle=loop.bundle_of(promoted).folder,
        digest=body["digest"],
        log=loop.project.predictions,
        memory=limits.memory,
        cpus=limits.cpus,
        max_rows=limits.max_rows,
        max_body=limits.max_body,
        fsync=loop.project.settings.fsync,
    )


def _clear(loop: Loop) -> None:
    """End services that an engine which came or went has left behind, and what nobody needs."""
    try:
        for target in loop.targets:
            if target is not loop.target:
                for service in target.running():
                    target.stop(service, drain=5)
            target.prune(keep=loop.params.deploy.keep)
    except MlopsError as exc:
        log.warning("left behind, for the next deployment to clear: %s", exc)
