"""The reconciler: finishes what an event or a killed process left undone.

The ledger says what was meant; this looks whether it happened. Every start is itself a row,
so that attempts are counted, spaced out, and given up after a few.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from filelock import Timeout

from mlops.config.project_folder import ProjectFolder
from mlops.errors import UnavailableError
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import (
    DeploymentFound,
    DeploymentServed,
    DeploymentStarted,
    DriftConfirmed,
    ModelPromoted,
    RunAbandoned,
    RunRequested,
)
from mlops.orchestration.orphans import reap, sweep
from mlops.orchestration.tasks import retrain
from mlops.project import deploy, schedule
from mlops.project.context import Project

__all__ = ["Missed", "Reconciler", "missed", "reconcile"]

MOST_ATTEMPTS = 3
SWEEP_EVERY = timedelta(days=1)

log = logging.getLogger("mlops.reconciler")

_SERVES = (DeploymentServed, DeploymentFound)
_ASKED = (RunRequested, RunAbandoned)

Start = Callable[[str, dict[str, Any], str], None]
"""Starts a flow by name with parameters, once per key."""


@dataclass(frozen=True)
class Missed:
    """Something meant that did not happen: the flow that does it, and the row that meant it."""

    flow: str
    parameters: dict[str, Any]
    cause: Entry[DriftConfirmed | ModelPromoted]


def missed(project: Project) -> Iterator[Missed]:
    """Yield what the ledger means and nobody is at.

    Confirmed drift without an answer; and, once something was deployed here, a champion that
    is not what serves, whether its deployment never began, never ended, or died, as long as
    the gateway is up. While a training is at work, only a service that is gone: a retraining deploys
    what it promotes by itself, and what was promoted before waits for its end.
    """
    training = _busy(project, "retrain")
    for drift in [] if training else retrain.unanswered(project)[:1]:
        yield Missed("retrain", retrain.asked_by(drift), drift)
    champion = project.promotion
    if champion is None or project.ledger.last(DeploymentStarted) is None or _busy(project, "deploy"):
        return
    try:
        served = deploy.serving(project)
    except UnavailableError:
        return  # serving was stopped on purpose, or `mlops up` will mend it
    if served is None or (not training and served[0].record.digest != champion.record.digest):
        yield Missed("deploy", {}, champion)


def reconcile(project: Project, start: Start, *, now: datetime) -> list[str]:
    """Start what was missed and is due; return a line for each thing done.

    A start that fails is not an attempt: it is tried again under the same key.
    """
    done = []
    grace = timedelta(seconds=project.folder.settings.reconcile_grace)
    _note_return(project)
    for thing in missed(project):
        since = _since_success(project.ledger.effects(thing.cause))
        requests = [entry for entry in since if isinstance(entry.record, RunRequested)]
        if any(isinstance(entry.record, RunAbandoned) for entry in since):
            # Drift that is still missed has no answer: who gave it up was killed before it told.
            _answer(project, thing, attempts=len(requests))
            continue
        newest = (since or [thing.cause])[-1]
        if now - newest.recorded_at < grace * 4 ** len(requests):
            continue
        if len(requests) < MOST_ATTEMPTS:
            start(thing.flow, thing.parameters, f"{newest.id}-{len(requests)}")
            project.ledger.record(RunRequested(flow=thing.flow), cause=thing.cause)
            done.append(f"started {thing.flow} for {thing.cause.kind} {thing.cause.id[:8]}")
            continue
        abandoned = RunAbandoned(flow=thing.flow, attempts=len(requests))
        project.ledger.record(abandoned, cause=thing.cause)
        _answer(project, thing, attempts=len(requests))
        done.append(f"gave up {thing.flow} for {thing.cause.id[:8]}: see its runs in Prefect")
    return done


def _note_return(project: Project) -> None:
    """Record that the champion serves after all, where it was taken for gone and asked for.

    Else such looks, each mistaken for a moment, or made while an engine was away, would add up until a
    service that is gone one day was given up already.
    """
    champion = project.promotion
    effects = project.ledger.effects(champion) if champion else []
    records = [entry.record for entry in effects if isinstance(entry.record, _SERVES + _ASKED)]
    if champion is None or not records or isinstance(records[-1], _SERVES):
        return
    try:
        served = deploy.serving(project)
    except UnavailableError:
        return
    if served is not None and served[0].record.digest == champion.record.digest:
        known = served[0].record
        there = DeploymentFound(deployment=known.deployment, version=known.version, digest=known.digest)
        project.ledger.record(there, cause=champion)


def _answer(project: Project, given_up: Missed, *, attempts: int) -> None:
    """Answer the drift whose retraining was given up, or no other drift would have its turn."""
    drift = project.ledger.get(given_up.cause.id, DriftConfirmed)
    if drift is not None:
        retrain.abandon(project, drift, attempts=attempts)


def _since_success(effects: list[Entry[Record]]) -> list[Entry[Record]]:
    """Return the effects after the newest success: what failed before it counts no more."""
    successes = [n for n, entry in enumerate(effects) if isinstance(entry.record, _SERVES)]
    return effects[successes[-1] :] if successes else effects


class Reconciler(threading.Thread):
    """Looks at what is left undone at once and then every so often, beside the runner."""

    def __init__(self, folder: ProjectFolder) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._project = folder
        self._swept: datetime | None = None

    def run(self) -> None:
        """Look, and go on looking whatever happens: a broken look is told and tried again."""
        while True:
            try:
                # params.yaml is read anew: a person edits it while the loop runs.
                self._look(Project.at(self._project.root), datetime.now(UTC))
            except Exception as exc:
                log.warning("reconcile pass failed: %s: %s", type(exc).__name__, exc)
            time.sleep(self._project.settings.reconcile_every)

    def _look(self, project: Project, now: datetime) -> None:
        for chore in self._chores(project, now):
            try:
                for line in chore():
                    log.info(line)
            except Exception as exc:
                log.warning("reconcile pass failed: %s: %s", type(exc).__name__, exc)
        project.ledger.close()

    def _chores(self, project: Project, now: datetime) -> Iterator[Callable[[], list[str]]]:
        yield partial(reap, project, now=now)
        if self._swept is None or now - self._swept > SWEEP_EVERY:
            self._swept = now
            yield partial(sweep, project, now=now)
        yield partial(reconcile, project, self._start_run, now=now)
        # A machine that slept has missed runs, and its runner is alive.
        yield partial(_catch_up, project, now)

    def _start_run(self, flow: str, parameters: dict[str, Any], key: str) -> None:
        from prefect.deployments import run_deployment

        name = f"{flow}/{self._project.params.data.name}"
        run_deployment(name, parameters=parameters, timeout=0, idempotency_key=key, as_subflow=False)


def _catch_up(project: Project, now: datetime) -> list[str]:
    skipped = schedule.catch_up(project.folder, now=now)
    return [f"skipped {skipped} missed runs"] if skipped else []


def _busy(project: Project, name: str) -> bool:
    try:
        with project.lock(name, patience=0):
            return False
    except Timeout:
        return True
