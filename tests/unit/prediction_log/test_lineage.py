from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from mlops.errors import MlopsError
from mlops.ledger.store import Entry
from mlops.model.registry import ModelVersion
from mlops.prediction_log.lineage import why

RECORD = {"id": "p1", "deployment": "d7", "version": "3", "prediction": True}


def row(id: str, kind: str, cause: str | None = None, **body: object) -> Entry:
    return Entry(id, kind, datetime(2013, 6, 1, tzinfo=UTC), cause=cause, body=body)


@pytest.fixture
def entries() -> list[Entry]:
    registered = {"run_id": "r1", "commit": "c0ffee", "data_md5": "d.dir", "digest": "b" * 64}
    return [
        row("a", "drift.confirmed", columns=["temp"]),
        row("s", "retrain.started", "a"),
        row("b", "model.registered", "s", version="3", **registered),
        row("x", "gate.judged", "b", promote=False, reason="of another champion"),
        row("g", "gate.judged", "b", promote=True, reason="Promoted: 0.02 better."),
        row("c", "model.promoted", "g", version="3"),
        row("d", "deployment.started", "c", deployment="d7", version="3"),
        row("e", "deployment.served", "c", deployment="d7", version="3", digest="e" * 64),
        row("f", "deployment.started", "x", deployment="d8", version="4"),
    ]


@pytest.fixture
def version() -> ModelVersion:
    return ModelVersion("flights", "3", "r9", "9" * 64, "fade", "9.dir", "models:/m-9")


def test_a_prediction_leads_back_to_its_data_commit_and_decision(entries):
    found = why(RECORD, entries)
    assert (found.deployment, found.version) == ("d7", "3")
    assert (found.run_id, found.commit, found.data_md5, found.digest) == ("r1", "c0ffee", "d.dir", "b" * 64)
    assert found.decision == "Promoted: 0.02 better."


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
    assert found.decision == "Promoted: 0.02 better."


def test_what_nobody_recorded_is_none():
    found = why(RECORD, [row("d", "deployment.started", deployment="d7")])
    assert found.run_id is found.commit is found.data_md5 is found.digest is found.decision is None


def test_a_deployment_the_ledger_does_not_know_is_an_error_that_names_it(entries):
    with pytest.raises(MlopsError, match=r"p1 came from deployment d9, of which the ledger holds no row"):
        why({**RECORD, "deployment": "d9"}, entries)


def test_a_lineage_is_json(entries):
    value = json.loads(json.dumps(why(RECORD, entries).to_dict()))
    assert value["commit"] == "c0ffee"
    assert [link["id"] for link in value["chain"]] == ["d", "c", "g", "b", "s", "a"]
