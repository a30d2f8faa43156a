"""Retrainings that are begun twice, lost, or killed: each drift gets its one answer all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.adapters.git.worktree import Tree
from mlops.errors import ConflictError, DataError
from mlops.ledger.entry import Entry
from mlops.ledger.records import (
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    RetrainFinished,
    RetrainRefused,
    RetrainStarted,
    RunRequested,
)
from mlops.orchestration.tasks import deploy, retrain, train
from mlops.project.context import Project
from tests.flows.orchard import EXTRA_EVENTS, PARAMS, Closed, Orchard
from tests.ledger_rows import made
from tests.patience import until


@dataclass
class Held:
    """A retraining that an event began and that waits in the middle of its fit."""

    orchard: Orchard
    drift: Entry
    pid: int


@pytest.fixture(scope="module")
def held(served: Orchard) -> Iterator[Held]:
    drift = served.drift(served.season())
    served.release()  # no pid of another's is left
    served.hold.touch()
    written = served.hold.with_suffix(".pid")
    try:
        served.emit(drift)
        pid = until("fit that waits", lambda: written.exists() and written.read_text())
        yield Held(served, drift, int(pid))
    finally:
        served.release()


def test_many_events_of_one_drift_are_one_retraining(closed: Closed) -> None:
    orchard = closed.orchard
    assert orchard.ended(closed.drift, EXTRA_EVENTS + 1)
    assert len(orchard.effects(closed.drift, RetrainStarted)) == 1
    assert len(orchard.effects(closed.drift, RetrainFinished, RetrainRefused)) == 1


def test_a_second_retraining_at_the_same_time_is_a_conflict(held: Held) -> None:
    before = len(held.orchard.project.ledger.entries())
    with pytest.raises(ConflictError, match=r"Another (re)?training of this project is running"):
        held.orchard.flow("retrain", as_of=held.drift.as_of)
    assert len(held.orchard.project.ledger.entries()) == before


def test_a_retraining_killed_in_the_middle_of_its_fit_converges(held: Held) -> None:
    orchard = held.orchard
    assert len(orchard.effects(held.drift, RetrainStarted)) == 1
    os.kill(held.pid, signal.SIGKILL)
    orchard.release()
    answer = orchard.answer(held.drift)
    assert answer.kind == "retrain.finished", answer.record.sentence
    assert answer.record.promoted, answer.record.sentence
    project = orchard.project
    assert project.promoted().as_of == held.drift.as_of
    running = deploy.serving(project)
    assert running is not None
    assert running[0].record.digest == project.promoted().record.digest
    assert len(orchard.effects(held.drift, RetrainStarted)) == 2
    assert [e.record.flow for e in orchard.effects(held.drift, RunRequested)] == ["retrain"]


def test_drift_whose_event_was_lost_is_found_by_the_reconciler(served: Orchard) -> None:
    drift = served.drift(served.season())
    answer = served.answer(drift)
    assert answer.kind == "retrain.finished", answer.record.sentence
    assert len(served.effects(drift, RunRequested)) == 1
    assert len(served.effects(drift, RetrainStarted)) == 1


def test_drift_without_labels_is_refused_and_said(served: Orchard) -> None:
    champion = served.project.promoted()
    drift = served.drift(served.season(new=False, labelled=False))
    served.flow("retrain", cause=drift.id)  # at once: the reconciler gives the event its time
    answer = served.answer(drift)
    assert answer.kind == "retrain.refused"
    assert "retraining needs 200" in answer.record.sentence
    assert served.project.promoted() == champion


def test_drift_within_the_cooldown_is_refused_and_said(closed: Closed) -> None:
    served = closed.orchard
    finished = served.project.ledger.last(RetrainFinished)
    assert finished is not None
    assert finished.as_of is not None
    drift = served.drift(finished.as_of)
    served.flow("retrain", cause=drift.id)
    answer = served.answer(drift)
    assert answer.kind == "retrain.refused"
    assert "retrain.cooldown" in answer.record.sentence


def test_what_a_retraining_promoted_is_not_deployed_over_what_outdid_it(closed: Closed) -> None:
    project = closed.orchard.project
    outdone = project.ledger.entries(ModelPromoted)[0]
    judged = project.ledger.get(outdone.cause, GateJudged)
    assert judged is not None
    assert train.promote.fn(project.folder.root, judged) == project.promoted() != outdone


@pytest.mark.parametrize("promoted", [True, False])
def test_one_that_nothing_caused_gets_its_end_if_it_was_killed_after_its_promotion(
    tmp_path: Path, promoted: bool
) -> None:
    params = PARAMS.format(name="plums", hold=tmp_path / "hold", target="process")
    (tmp_path / "params.yaml").write_text(params)
    as_of, ledger = datetime(2026, 2, 1, tzinfo=UTC), Project.at(tmp_path).ledger
    killed = retrain.claim.fn(tmp_path, as_of, None)
    registered = ledger.record(made(ModelRegistered), cause=killed)
    judged = ledger.record(made(GateJudged), cause=registered)
    if promoted:
        ledger.record(made(ModelPromoted), cause=judged)
    for _ in range(2):
        assert retrain.claim.fn(tmp_path, as_of + timedelta(days=1), None).kind == "retrain.started"
    ends = [(end.cause, end.as_of, end.record) for end in ledger.entries(RetrainFinished)]
    end = RetrainFinished(
        started=killed.id, judged=judged.id, version="1", promoted=True, verdict=judged.record.sentence
    )
    assert ends == ([(killed.id, as_of, end)] if promoted else [])


def test_a_fault_is_no_answer(served: Orchard) -> None:
    before = served.project.ledger.entries(RetrainFinished, RetrainRefused)
    with pytest.raises(DataError, match="would train on its future"):
        served.flow("retrain", as_of=datetime(2026, 1, 10, tzinfo=UTC))
    assert served.project.ledger.entries(RetrainFinished, RetrainRefused) == before


@pytest.fixture
def weak(served: Orchard) -> Iterator[Orchard]:
    """The project with parameters of which nothing is learnt; as it was afterwards."""
    params = served.root / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("strength: 1.0", "strength: 0.000001"))
    Tree(served.root).commit_paths(["params.yaml"], "Learn next to nothing")
    yield served
    params.write_text(text)
    Tree(served.root).commit_paths(["params.yaml"], "Learn again")


def test_a_model_that_is_no_better_changes_nothing(weak: Orchard) -> None:
    orchard = weak
    as_of = orchard.season(new=False)
    project = orchard.project
    champion, serving = project.promoted(), deploy.serving(project)
    outcome = orchard.flow("retrain", as_of=as_of)
    assert outcome.refused
    assert outcome.text.startswith("Rejected: improvement not significant")
    assert state_of(orchard, f"retrain as of {as_of:%Y-%m-%d}") == ("COMPLETED", "Refused", outcome.text)
    assert project.promoted() == champion
    assert deploy.serving(project) == serving
    registered = project.registry.find("champion")
    assert registered is not None
    assert registered.digest == champion.record.digest
    finished = project.ledger.last(RetrainFinished)
    assert finished is not None
    assert (finished.as_of, finished.record.promoted) == (as_of, False)


def state_of(orchard: Orchard, name: str) -> tuple[str, str, str]:
    """What Prefect shows of the run of this name."""
    [run] = orchard.ask("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
    return run["state_type"], run["state_name"], run["state"]["message"]
