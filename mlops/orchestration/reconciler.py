"""The reconciler: starts the runs that a lost event or a killed process left out.

The ledger records what should happen; each pass checks whether it did. Every start is a row too, so that
attempts are counted, spaced out, and abandoned after a few.
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
    DeploymentRecovered,
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

_SERVES = (DeploymentServed, DeploymentRecovered)
_REQUESTS = (RunRequested, RunAbandoned)

Start = Callable[[str, dict[str, Any], str], None]
"""Starts a flow by name with parameters, once per idempotency key."""


@dataclass(frozen=True)
class Missed:
    """A run that is missing: its flow, its parameters, and the row that calls for it."""

    flow: str
    parameters: dict[str, Any]
    cause: Entry[DriftConfirmed | ModelPromoted]


def missed(project: Project) -> Iterator[Missed]:
    """Yield the runs that the ledger calls for and that nothing executes.

    Confirmed drift without a retraining; and, after the first deployment on this machine, a champion
    that does not serve, whether its deployment never started, never ended, or died, while the gateway
    is up. While a training runs, only a service that is gone: a retraining deploys what it promotes,
    and what was promoted before waits for its end.
    """
    training = _busy(project, "retrain")
    for drift in [] if training else retrain.pending_drift(project)[:1]:
        yield Missed("retrain", retrain.flow_parameters(drift), drift)
    champion = project.promotion
    if champion is None or project.ledger.last(DeploymentStarted) is None or _busy(project, "deploy"):
        return
    try:
        served = deploy.serving(project)
    except UnavailableError:
        return  # serving was stopped on purpose, or `mlops up` will restart it
    if served is None or (not training and served[0].record.digest != champion.record.digest):
        yield Missed("deploy", {}, champion)


def reconcile(project: Project, start: Start, *, now: datetime) -> list[str]:
    """Start the missing runs that are due; return a line for each action.

    A start that fails does not count as an attempt: it is repeated under the same idempotency key.
    """
    done = []
    grace = timedelta(seconds=project.folder.settings.reconcile_grace)
    _record_recovery(project)
    for item in missed(project):
        since = _since_success(project.ledger.effects(item.cause))
        requests = [entry for entry in since if isinstance(entry.record, RunRequested)]
        if any(isinstance(entry.record, RunAbandoned) for entry in since):
            # Drift that is still listed has no outcome: the reconciler was killed before it recorded one.
            _record_abandoned(project, item, attempts=len(requests))
            continue
        newest = (since or [item.cause])[-1]
        if now - newest.recorded_at < grace * 4 ** len(requests):
            continue
        if len(requests) < MOST_ATTEMPTS:
            start(item.flow, item.parameters, f"{newest.id}-{len(requests)}")
            project.ledger.record(RunRequested(flow=item.flow), cause=item.cause)
            done.append(f"started {item.flow} for {item.cause.kind} {item.cause.id[:8]}")
            continue
        abandoned = RunAbandoned(flow=item.flow, attempts=len(requests))
        project.ledger.record(abandoned, cause=item.cause)
        _record_abandoned(project, item, attempts=len(requests))
        done.append(
            f"abandoned {item.flow} for {item.cause.id[:8]} after {len(requests)} attempts: "
            "see its runs in Prefect"
        )
    return done


def _record_recovery(project: Project) -> None:
    """Record that the champion serves, if a deployment of it was requested because it seemed to be gone.

    Otherwise requests made by mistake, for example while an engine was down, would add up, and a service
    that is really gone one day would be abandoned at once.
    """
    champion = project.promotion
    effects = project.ledger.effects(champion) if champion else []
    records = [entry.record for entry in effects if isinstance(entry.record, _SERVES + _REQUESTS)]
    if champion is None or not records or isinstance(records[-1], _SERVES):
        return
    try:
        served = deploy.serving(project)
    except UnavailableError:
        return
    if served is not None and served[0].record.digest == champion.record.digest:
        known = served[0].record
        there = DeploymentRecovered(deployment=known.deployment, version=known.version, digest=known.digest)
        project.ledger.record(there, cause=champion)


def _record_abandoned(project: Project, abandoned: Missed, *, attempts: int) -> None:
    """Record that a drift's retraining was abandoned; otherwise no later drift would be handled."""
    drift = project.ledger.get(abandoned.cause.id, DriftConfirmed)
    if drift is not None:
        retrain.abandon(project, drift, attempts=attempts)


def _since_success(effects: list[Entry[Record]]) -> list[Entry[Record]]:
    """Return the effects after the newest success: earlier failures no longer count."""
    successes = [n for n, entry in enumerate(effects) if isinstance(entry.record, _SERVES)]
    return effects[successes[-1] :] if successes else effects


class Reconciler(threading.Thread):
    """A thread of the runner's process that makes a pass at start, and then at intervals."""

    def __init__(self, folder: ProjectFolder) -> None:
        super().__init__(name="reconciler", daemon=True)
        self._project = folder
        self._swept: datetime | None = None

    def run(self) -> None:
        """Make passes for ever: one that fails is logged, and the next one follows."""
        while True:
            try:
                # params.yaml is read at each pass: a person may edit it while the loop runs.
                self._run_pass(Project.at(self._project.root), datetime.now(UTC))
            except Exception as exc:
                log.warning("reconcile pass failed: %s: %s", type(exc).__name__, exc)
            time.sleep(self._project.settings.reconcile_every)

    def _run_pass(self, project: Project, now: datetime) -> None:
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
