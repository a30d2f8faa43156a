"""What the reconciler finds in the ledger, when it acts, and when it stops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.config.project_folder import ProjectFolder
from mlops.config.settings import Settings
from mlops.deployment.rollout import Serving
from mlops.errors import UnavailableError
from mlops.files.ports import free_port
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import (
    DeploymentFailed,
    DeploymentRecovered,
    DeploymentServed,
    DeploymentStarted,
    DriftChecked,
    RetrainFinished,
    RetrainRefused,
    RetrainStarted,
    RunAbandoned,
    RunRequested,
)
from mlops.ledger.store import Ledger
from mlops.orchestration.reconciler import MOST_ATTEMPTS, Missed, Reconciler, missed, reconcile
from mlops.orchestration.tasks import retrain
from mlops.project import deploy
from mlops.project.context import Project
from tests.flows.orchard import PARAMS
from tests.ledger_rows import made, promoted

GRACE = timedelta(seconds=Settings().reconcile_grace)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


class Starts(list[tuple[str, dict[str, Any], str]]):
    """What the reconciler started: flow, parameters, key."""

    def __call__(self, flow: str, parameters: dict[str, Any], key: str) -> None:
        self.append((flow, parameters, key))


class StillGateway:
    """A gateway that leads to one address, or does not respond."""

    def __init__(self, address: str | None = None, *, up: bool = True) -> None:
        self.address, self.up = address, up

    def current(self) -> str | None:
        if not self.up:
            raise UnavailableError("The gateway", "nowhere", remedy="")
        return self.address


class StillTarget:
    """A place where one service runs, or none."""

    name = "still"

    def __init__(self, *services: Serving) -> None:
        self.services = services

    def running(self, *, unhealthy: bool = False) -> list[Serving]:
        return list(self.services)


class StillProject(Project):
    """A project whose services run in targets of the test."""

    @property
    def targets(self) -> list[Any]:
        return self.__dict__.get("still", [])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def project(tmp_path: Path, clock: Clock) -> Iterator[Project]:
    params = PARAMS.format(name="plums", hold=tmp_path / "hold", target="process")
    (tmp_path / "params.yaml").write_text(params)
    project = StillProject(ProjectFolder(tmp_path, Settings(gateway_api_port=free_port())))
    project.__dict__["ledger"] = Ledger(project.folder.ledger_uri, clock=clock)
    project.__dict__["gateway"] = StillGateway()
    yield project
    project.ledger.close()


@pytest.fixture
def drift(project: Project) -> Entry:
    return confirmed(project, AS_OF)


def confirmed(project: Project, as_of: datetime) -> Entry:
    return retrain.confirm(project, checked(project, as_of))


def checked(project: Project, as_of: datetime) -> Entry[DriftChecked]:
    """A window that confirms drift; its promotion was a test's."""
    promotion = project.promotion or promoted(project.ledger)
    return project.ledger.record(made(DriftChecked, confirmed=True), cause=promotion, as_of=as_of)


def deployed(
    project: Project, *, running: bool, gateway: bool = True, outcome: type[Record] | None = DeploymentServed
) -> Entry:
    """A champion that was deployed, and whether its service is there; returns its promotion."""
    facts = {"digest": "a", "version": "1"}
    champion = promoted(project.ledger, **facts)
    for kind in filter(None, (DeploymentStarted, outcome)):
        project.ledger.record(made(kind, **facts), cause=champion)
    service = Serving("d1", "1", "a", "still", "http://127.0.0.1:1", "ref")
    project.__dict__["gateway"] = StillGateway(service.address, up=gateway)
    project.__dict__["still"] = [StillTarget(), StillTarget(*([service] if running else []))]
    return champion


def test_an_empty_ledger_means_nothing(project: Project) -> None:
    assert list(missed(project)) == []


def test_confirmed_drift_without_an_answer_is_missed(project: Project, drift: Entry) -> None:
    # What the event asks too, so that the runs are called the same whoever starts them.
    asked = {"as_of": AS_OF.isoformat(), "cause": drift.id}
    assert list(missed(project)) == [Missed("retrain", asked, drift)]


@pytest.mark.parametrize("answer", [RetrainFinished, RetrainRefused])
def test_answered_drift_is_not_missed(project: Project, drift: Entry, answer: type[Record]) -> None:
    project.ledger.record(made(answer), cause=drift)
    assert list(missed(project)) == []


def test_a_retraining_that_is_at_it_is_left_alone(project: Project, drift: Entry) -> None:
    with project.lock("retrain"):
        assert list(missed(project)) == []
    assert len(list(missed(project))) == 1


def test_of_several_drifts_the_oldest_comes_first(project: Project, drift: Entry) -> None:
    confirmed(project, AS_OF + timedelta(days=1))
    assert [thing.cause for thing in missed(project)] == [drift]


def test_an_event_gets_its_time_before_the_first_attempt(
    project: Project, drift: Entry, starts: Starts, clock: Clock
) -> None:
    assert reconcile(project, starts, now=BEGAN + GRACE - timedelta(seconds=1)) == []
    assert reconcile(project, starts, now=BEGAN + GRACE) == [
        f"started retrain for drift.confirmed {drift.id[:8]}"
    ]
    [(flow, parameters, key)] = starts
    [request] = project.ledger.effects(drift)
    assert (flow, parameters) == ("retrain", retrain.flow_parameters(drift))
    assert key
    assert request.kind == "run.requested"


def test_attempts_wait_four_times_as_long_each_and_end_after_three(
    project: Project, drift: Entry, starts: Starts, clock: Clock
) -> None:
    began = []
    for second in range(0, 3000, 5):
        clock.now = BEGAN + timedelta(seconds=second)
        if reconcile(project, starts, now=clock.now):
            began.append(second)
    grace = GRACE.total_seconds()
    assert began == [grace, grace * 5, grace * 21, grace * 85]
    assert len(starts) == MOST_ATTEMPTS
    assert len({key for _, _, key in starts}) == MOST_ATTEMPTS


def test_drift_given_up_is_answered_with_what_to_do(
    project: Project, drift: Entry, starts: Starts, clock: Clock
) -> None:
    for attempt in range(MOST_ATTEMPTS + 1):
        clock.now += GRACE * 4**attempt
        reconcile(project, starts, now=clock.now)
    [refused] = project.ledger.effects(drift, RetrainRefused)
    assert "failed 3 times" in refused.record.sentence
    assert "mlops retrain" in refused.record.sentence
    assert refused.as_of == AS_OF
    assert list(missed(project)) == []


def test_drift_given_up_by_a_process_that_was_killed_before_it_told_is_answered_too(
    project: Project, drift: Entry, starts: Starts, clock: Clock
) -> None:
    later = confirmed(project, AS_OF + timedelta(days=9))
    for _ in range(MOST_ATTEMPTS):
        project.ledger.record(RunRequested(flow="retrain"), cause=drift)
    project.ledger.record(RunAbandoned(flow="retrain", attempts=MOST_ATTEMPTS), cause=drift)
    for _ in range(2):
        reconcile(project, starts, now=BEGAN + 1000 * GRACE)
    [refused] = project.ledger.effects(drift, RetrainRefused)
    assert "failed 3 times" in refused.record.sentence
    assert [parameters for _, parameters, _ in starts] == [retrain.flow_parameters(later)]


def test_an_attempt_that_began_puts_off_the_next(
    project: Project, drift: Entry, starts: Starts, clock: Clock
) -> None:
    clock.now += timedelta(seconds=10)
    project.ledger.record(made(RetrainStarted), cause=drift)
    assert reconcile(project, starts, now=BEGAN + GRACE) == []
    assert len(reconcile(project, starts, now=clock.now + GRACE)) == 1


def test_what_serves_is_not_missed(project: Project) -> None:
    deployed(project, running=True)
    assert list(missed(project)) == []


def test_a_service_that_is_gone_is_deployed_again(project: Project, starts: Starts) -> None:
    champion = deployed(project, running=False)
    assert list(missed(project)) == [Missed("deploy", {}, champion)]
    assert reconcile(project, starts, now=BEGAN + GRACE) != []
    assert [flow for flow, _, _ in starts] == ["deploy"]


def test_a_service_that_is_gone_does_not_wait_for_a_training(project: Project, drift: Entry) -> None:
    champion = deployed(project, running=False)
    with project.lock("retrain"):
        assert list(missed(project)) == [Missed("deploy", {}, champion)]


def test_what_a_training_promoted_is_left_for_it_to_deploy(project: Project) -> None:
    deployed(project, running=True)
    newer = promoted(project.ledger, digest="b", version="2")
    with project.lock("retrain"):
        assert list(missed(project)) == []
    assert list(missed(project)) == [Missed("deploy", {}, newer)]


def test_a_deployment_that_never_ended_is_done_again(project: Project) -> None:
    champion = deployed(project, running=True, outcome=None)
    assert list(missed(project)) == [Missed("deploy", {}, champion)]


def test_a_deployment_that_is_at_it_is_left_alone(project: Project) -> None:
    deployed(project, running=False)
    with project.lock("deploy"):
        assert list(missed(project)) == []


def test_a_promotion_whose_deployment_failed_is_deployed_while_an_earlier_one_serves(
    project: Project,
) -> None:
    deployed(project, running=True)
    newer = promoted(project.ledger, digest="b", version="2")
    for kind in (DeploymentStarted, DeploymentFailed):
        project.ledger.record(made(kind, deployment="d2", digest="b", version="2"), cause=newer)
    assert list(missed(project)) == [Missed("deploy", {}, newer)]


def test_a_champion_that_was_never_deployed_waits_for_its_person(project: Project) -> None:
    promoted(project.ledger, digest="a", version="1")
    assert list(missed(project)) == []


def test_a_verdict_that_was_never_announced_is_found(project: Project) -> None:
    unannounced = checked(project, AS_OF)
    [thing] = missed(project)
    assert thing.flow == "retrain"
    assert thing.cause.cause == unannounced.id


def test_a_start_that_fails_is_no_attempt(project: Project, drift: Entry, starts: Starts) -> None:
    def fails(flow: str, parameters: dict[str, Any], key: str) -> None:
        raise ConnectionError("Prefect is away")

    with pytest.raises(ConnectionError):
        reconcile(project, fails, now=BEGAN + GRACE)
    assert project.ledger.effects(drift) == []
    assert len(reconcile(project, starts, now=BEGAN + GRACE)) == 1


def test_where_the_gateway_is_down_nothing_is_deployed(project: Project) -> None:
    deployed(project, running=False, gateway=False)
    assert list(missed(project)) == []


def test_a_deployment_is_not_tried_for_ever(project: Project, starts: Starts, clock: Clock) -> None:
    deployed(project, running=False)
    for second in range(0, 5000, 200):
        clock.now = BEGAN + timedelta(seconds=second)
        reconcile(project, starts, now=clock.now)
    assert len(starts) == MOST_ATTEMPTS


def test_looks_that_were_mistaken_do_not_add_up(project: Project, starts: Starts, clock: Clock) -> None:
    champion = deployed(project, running=True)
    there = project.__dict__["still"]
    for _ in range(MOST_ATTEMPTS + 2):
        clock.now += GRACE
        project.__dict__["still"] = []
        assert len(reconcile(project, starts, now=clock.now)) == 1
        project.__dict__["still"] = there
        assert reconcile(project, starts, now=clock.now) == reconcile(project, starts, now=clock.now) == []
    assert len(starts) == len({key for _, _, key in starts}) == MOST_ATTEMPTS + 2
    found = project.ledger.effects(champion, DeploymentRecovered)
    assert [entry.record.deployment for entry in found] == ["d1"] * len(starts)


def test_one_that_was_given_up_and_came_back_is_looked_after_again(
    project: Project, starts: Starts, clock: Clock
) -> None:
    champion = deployed(project, running=True)
    there = project.__dict__["still"]
    for kind in (*[RunRequested] * MOST_ATTEMPTS, RunAbandoned):
        project.ledger.record(made(kind, flow="deploy"), cause=champion)
    assert reconcile(project, starts, now=clock.now) == []
    project.__dict__["still"] = []
    assert len(reconcile(project, starts, now=clock.now + GRACE)) == 1
    project.__dict__["still"] = there


def test_a_pass_that_fails_hinders_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks() -> list[str]:
        raise ConnectionError("Prefect is away")

    reconciler = Reconciler(project.folder)
    monkeypatch.setattr(reconciler, "_chores", lambda *_: iter([breaks, lambda: ["done"]]))
    with caplog.at_level("INFO", logger="mlops.reconciler"):
        reconciler._run_pass(project, BEGAN)
    assert [record.message for record in caplog.records] == [
        "reconcile pass failed: ConnectionError: Prefect is away",
        "done",
    ]


def test_before_the_first_deployment_there_is_nothing_to_bring_back(project: Project) -> None:
    promoted(project.ledger, digest="a", version="1")
    assert deploy.restart_serving(project) is None


def test_what_serves_is_not_brought_back_whatever_it_is(project: Project) -> None:
    deployed(project, running=True)
    newer = promoted(project.ledger, digest="b", version="2")
    served = made(DeploymentServed, deployment="d2", digest="b", version="2", target="x")
    project.ledger.record(served, cause=newer)
    before = project.ledger.entries()
    assert deploy.restart_serving(project) is None
    assert project.ledger.entries() == before


def test_what_served_last_is_brought_back_not_what_was_promoted_since(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = deployed(project, running=False)
    promoted(project.ledger, digest="b", version="2")
    placed: list[Entry] = []
    monkeypatch.setattr(deploy, "roll_out", lambda _, promoted: (placed.append(promoted), None))
    deploy.restart_serving(project)
    assert placed == [served]
