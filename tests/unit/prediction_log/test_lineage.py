from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from mlops.errors import MlopsError
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import (
    DeploymentServed,
    DeploymentStarted,
    DriftConfirmed,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    RetrainStarted,
)
from mlops.model.registry import ModelVersion
from mlops.prediction_log.lineage import why
from tests.ledger_rows import made

RECORD = {"id": "p1", "deployment": "d7", "version": "3", "prediction": True}


def row(id: str, kind: type[Record], cause: str | None = None, **facts: object) -> Entry[Record]:
    return Entry(id, made(kind, **facts), datetime(2013, 6, 1, tzinfo=UTC), cause=cause)


@pytest.fixture
def entries() -> list[Entry[Record]]:
    model = {"version": "3", "run_id": "r1", "commit": "c0ffee", "data_md5": "d.dir", "digest": "b" * 64}
    placed = {"deployment": "d7", "version": "3", "digest": "b" * 64}
    return [
        row("a", DriftConfirmed, columns=("temp",)),
        row("s", RetrainStarted, "a"),
        row("b", ModelRegistered, "s", **model),
        row("x", GateJudged, "b", promote=False, outcome="not_significant"),
        row("g", GateJudged, "b"),
        row("c", ModelPromoted, "g", **model),
        row("d", DeploymentStarted, "c", **placed),
        row("e", DeploymentServed, "c", **placed),
        row("f", DeploymentStarted, "x", deployment="d8", version="4"),
    ]


@pytest.fixture
def version() -> ModelVersion:
    return ModelVersion("flights", "3", "r9", "9" * 64, "fade", "9.dir", "models:/m-9")


def test_a_prediction_leads_back_to_its_data_commit_and_decision(entries):
    found = why(RECORD, entries)
    assert (found.deployment, found.version) == ("d7", "3")
    assert (found.run_id, found.commit, found.data_md5, found.digest) == ("r1", "c0ffee", "d.dir", "b" * 64)
    assert found.decision == made(GateJudged).sentence


def test_the_chain_runs_from_the_deployment_to_the_first_cause(entries):
    chain = why(RECORD, entries).chain
    assert [entry.kind for entry in chain] == [
        "deployment.started", "model.promoted", "gate.judged", "model.registered", "retrain.started",
        "drift.confirmed",
    ]  # fmt: skip
    assert all(later.cause == earlier.id for later, earlier in pairwise(chain))


def test_the_registry_knows_better_than_the_ledger(entries, version):
    found = why(RECORD, entries, version)
    assert (found.run_id, found.commit, found.digest) == ("r9", "fade", "9" * 64)
    assert found.decision == made(GateJudged).sentence


def test_what_nobody_recorded_is_none():
    found = why(RECORD, [row("d", DeploymentStarted, deployment="d7")])
    assert found.run_id is found.commit is found.data_md5 is found.decision is None


def test_a_deployment_the_ledger_does_not_know_is_an_error_that_names_it(entries):
    with pytest.raises(MlopsError, match=r"p1 came from deployment d9, of which the ledger holds no row"):
        why({**RECORD, "deployment": "d9"}, entries)


def test_a_lineage_is_json(entries):
    value = json.loads(json.dumps(why(RECORD, entries).to_dict()))
    assert value["commit"] == "c0ffee"
    assert [link["id"] for link in value["chain"]] == ["d", "c", "g", "b", "s", "a"]
