"""The reconciler: finishes what an event or a killed process left undone.

The ledger says what was meant; this looks whether it happened. Every start is itself a row,
so that attempts are counted, spaced out, and given up after a few.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from filelock import Timeout

from mlops.config import Project
from mlops.errors import UnavailableError
from mlops.ledger import Entry
from mlops.orchestration import deploying, retraining
from mlops.orchestration.loop import Loop

__all__ = ["Missed", "Reconciler", "missed", "reconcile"]

MOST_ATTEMPTS = 3

log = logging.getLogger("mlops.reconciler")

Start = Callable[[str, dict[str, Any], str], None]
"""Starts a flow by name with parameters, once per key."""


@dataclass(frozen=True)
class Missed:
    """Something meant that did not happen: the flow that does it, and the row that meant it."""

    flow: str
    parameters: dict[str, Any]
    cause: Entry


def missed(loop: Loop) -> Iterator[Missed]:
    """Yield what the ledger means and nobody is at.

    Confirmed drift without an answer; and, once something was deployed here, a champion that
    is not what serves, whether its deployment never began, never ended, or died, as long as
    the gateway is up.
    """
    if _busy(loop, "retrain"):
        return
    for drift in retraining.unanswered(loop)[:1]:
        yield Missed("retrain", {"cause": drift.id}, drift)
    champion = loop.champion
    if champion is None or loop.ledger.last("deployment.started") is None or _busy(loop, "deploy"):
        return
    try:
        served = deploying.serving(loop)
    except UnavailableError:
        return  # serving was stopped on purpose, or `mlops up` will mend it
    if served is None or served[0].body["digest"] != champion.body["digest"]:
        yield Missed("deploy", {}, champion)


def reconcile(loop: Loop, start: Start, *, now: datetime) -> list[str]:
    """Start what was missed and is due; return a line for each thing done.

    A start that fails is not an attempt: it is tried again under the same key.
    """
    done = []
    grace = timedelta(seconds=loop.project.settings.reconcile_grace)
    for thing in missed(loop):
        since = _since_success(loop.ledger.effects(thing.cause))
        if any(entry.kind == "run.abandoned" for entry in since):
            continue
        requests = [entry for entry in since if entry.kind == "run.requested"]
        newest = (since or [thing.cause])[-1]
        if now - newest.recorded_at < grace * 4 ** len(requests):
            continue
        if len(requests) < MOST_ATTEMPTS:
            start(thing.flow, thing.parameters, f"{newest.id}-{len(requests)}")
            loop.ledger.record("run.requested", cause=thing.cause, flow=thing.flow)
            done.append(f"started {thing.flow} for {thing.cause.kind} {thing.cause.id[:8]}")
            continue
        loop.ledger.record("run.abandoned", cause=thing.cause, flow=thing.flow, attempts=len(requests))
        if thing.flow == "retrain":
            retraining.abandon(loop, thing.cause, attempts=len(requests))
        done.append(f"gave up {thing.flow} for {thing.cause.id[:8]}: see its runs in Prefect")
    return done


def _since_success(effects: list[Entry]) -> list[Entry]:
    """Return the effects after the newest success: what failed before it counts no more."""
    successes = [n for n, entry in enumerate(effects) if entry.kind == "deployment.served"]
    return effects[successes[-1] :] if successes else effects


class Reconciler(threading.Thread):
    """Looks at the ledger every so often, beside the runner."""

    def __init__(self, project: Project) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._project = project

    def run(self) -> None:
        """Look, and go on looking whatever happens: a broken look is told and tried again."""
        pause = threading.Event()
        while not pause.wait(self._project.settings.reconcile_every):
            try:
                # params.yaml is read anew: a person edits it while the loop runs.
                loop = Loop.at(self._project.root)
                for line in reconcile(loop, self._start_run, now=datetime.now(UTC)):
                    log.info(line)
                loop.ledger.close()
            except Exception as exc:
                log.warning("could not look: %s: %s", type(exc).__name__, exc)

    def _start_run(self, flow: str, parameters: dict[str, Any], key: str) -> None:
        from prefect.deployments import run_deployment

        name = f"{flow}/{self._project.params.data.name}"
        run_deployment(name, parameters=parameters, timeout=0, idempotency_key=key, as_subflow=False)


def _busy(loop: Loop, name: str) -> bool:
    try:
        with loop.lock(name, patience=0):
            return False
    except Timeout:
        return True
