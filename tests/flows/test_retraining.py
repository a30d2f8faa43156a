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
from mlops.ledger.store import Entry
from mlops.orchestration.tasks import deploy, retrain, train
from mlops.project.context import Project
from tests.flows.orchard import EXTRA_EVENTS, PARAMS, Closed, Orchard, until


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
    assert len(orchard.effects(closed.drift, "retrain.started")) == 1
    assert len(orchard.effects(closed.drift, "retrain.finished", "retrain.refused")) == 1


def test_a_second_retraining_at_the_same_time_is_a_conflict(held: Held) -> None:
    before = len(held.orchard.project.ledger.entries())
    with pytest.raises(ConflictError, match=r"Another (re)?training of this project is running"):
        held.orchard.flow("retrain", as_of=held.drift.as_of)
    assert len(held.orchard.project.ledger.entries()) == before


def test_a_retraining_killed_in_the_middle_of_its_fit_converges(held: Held) -> None:
    orchard = held.orchard
    assert len(orchard.effects(held.drift, "retrain.started")) == 1
    os.kill(held.pid, signal.SIGKILL)
    orchard.release()
    answer = orchard.answer(held.drift)
    assert answer.kind == "retrain.finished", answer.body["sentence"]
    assert answer.body["promoted"], answer.body["sentence"]
    project = orchard.project
    assert project.promoted().as_of == held.drift.as_of
    running = deploy.serving(project)
    assert running is not None
    assert running[0].body["digest"] == project.promoted().body["digest"]
    assert len(orchard.effects(held.drift, "retrain.started")) == 2
    assert [e.body["flow"] for e in orchard.effects(held.drift, "run.requested")] == ["retrain"]


def test_drift_whose_event_was_lost_is_found_by_the_reconciler(served: Orchard) -> None:
    drift = served.drift(served.season())
    answer = served.answer(drift)
    assert answer.kind == "retrain.finished", answer.body["sentence"]
    assert len(served.effects(drift, "run.requested")) == 1
    assert len(served.effects(drift, "retrain.started")) == 1


def test_drift_without_labels_is_refused_and_said(served: Orchard) -> None:
    champion = served.project.promoted()
    drift = served.drift(served.season(new=False, labelled=False))
    served.flow("retrain", cause=drift.id)  # at once: the reconciler gives the event its time
    answer = served.answer(drift)
    assert answer.kind == "retrain.refused"
    assert "retraining needs 200" in answer.body["sentence"]
    assert served.project.promoted() == champion


def test_drift_within_the_cooldown_is_refused_and_said(closed: Closed) -> None:
    served = closed.orchard
    finished = served.project.ledger.last("retrain.finished")
    assert finished is not None
    assert finished.as_of is not None
    drift = served.drift(finished.as_of)
    served.flow("retrain", cause=drift.id)
    answer = served.answer(drift)
    assert answer.kind == "retrain.refused"
    assert "retrain.cooldown" in answer.body["sentence"]


def test_what_a_retraining_promoted_is_not_deployed_over_what_outdid_it(closed: Closed) -> None:
    project = closed.orchard.project
    outdone = project.ledger.entries("model.promoted")[0]
    judged = project.ledger.get(outdone.cause or "")
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
    registered = ledger.record("model.registered", cause=killed)
    judged = ledger.record("gate.judged", cause=registered, reason="Promoted: better.")
    if promoted:
        ledger.record("model.promoted", cause=judged)
    for _ in range(2):
        assert retrain.claim.fn(tmp_path, as_of + timedelta(days=1), None).kind == "retrain.started"
    ends = [(end.cause, end.as_of, dict(end.body)) for end in ledger.entries("retrain.finished")]
    told = {"promoted": True, "sentence": "Promoted: better.", "started": killed.id}
    assert ends == ([(killed.id, as_of, told)] if promoted else [])


def test_a_fault_is_no_answer(served: Orchard) -> None:
    before = served.project.ledger.entries("retrain.finished", "retrain.refused")
    with pytest.raises(DataError, match="would learn from its future"):
        served.flow("retrain", as_of=datetime(2026, 1, 10, tzinfo=UTC))
    assert served.project.ledger.entries("retrain.finished", "retrain.refused") == before


def test_a_model_that_is_no_better_changes_nothing(served: Orchard) -> None:
    orchard = served
    params = orchard.root / "params.yaml"
    params.write_text(params.read_text().replace("strength: 1.0", "strength: 0.000001"))
    Tree(orchard.root).commit_paths(["params.yaml"], "Learn next to nothing")
    as_of = orchard.season(new=False)
    project = orchard.project
    champion, serving = project.promoted(), deploy.serving(project)
    outcome = orchard.flow("retrain", as_of=as_of)
    assert outcome.refused
    assert "Refused" in outcome.text
    assert state_of(orchard, f"retrain as of {as_of:%Y-%m-%d}") == ("COMPLETED", "Refused", outcome.text)
    assert project.promoted() == champion
    assert deploy.serving(project) == serving
    registered = project.registry.find("champion")
    assert registered is not None
    assert registered.digest == champion.body["digest"]
    finished = project.ledger.last("retrain.finished")
    assert finished is not None
    assert (finished.as_of, finished.body["promoted"]) == (as_of, False)


def state_of(orchard: Orchard, name: str) -> tuple[str, str, str]:
    """What Prefect shows of the run of this name."""
    [run] = orchard.ask("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
    return run["state_type"], run["state_name"], run["state"]["message"]
