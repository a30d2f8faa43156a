"""Deploying and asking: what answers behind the gateway, and what is written of it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import httpx
import pytest

from mlops.deployment.client import Client
from mlops.errors import MlopsError
from mlops.ledger.records import DeploymentServed
from mlops.orchestration.tasks import deploy
from mlops.prediction_log import reader
from tests.flows.orchard import Orchard, Told
from tests.outside import TARGET
from tests.patience import until

ROW = {"size": 4.0, "heat": 20.0, "colour": "red", "plum": "asked", "picked": "2025-12-01T10:00:00+00:00"}


def test_a_question_before_any_deployment_is_told_what_to_do(unanswered: Told) -> None:
    assert unanswered.code == 1
    assert "503" in unanswered.err
    assert "mlops deploy" in unanswered.err
    assert unanswered.out == ""


def test_the_gateway_leads_to_the_promoted_model(served: Orchard) -> None:
    said = httpx.get(f"{served.project.folder.address}/version", trust_env=False).json()
    champion = served.project.promoted()
    assert said["digest"] == champion.record.digest
    assert str(said["version"]) == str(champion.record.version)


def test_an_answer_is_in_the_log_with_what_it_was_asked(served: Orchard) -> None:
    project = served.project
    with Client(project.folder.address) as client:
        answer = client.predict([ROW])
    [prediction] = answer["predictions"]
    found = reader.find(project.folder.predictions, prediction["id"])
    assert found is not None
    written = found if isinstance(found, dict) else found.__dict__
    assert written["key"] == "asked"
    assert written["features"]["size"] == 4.0
    assert str(written["version"]) == answer["model_version"]
    entry = project.ledger.last(DeploymentServed)
    assert entry is not None
    assert written["deployment"] == entry.record.deployment
    told = served.mlops("why", prediction["id"], "--json")
    assert told.code == 0, told.err
    behind, promoted = json.loads(told.out), project.served().record
    assert (behind["key"], behind["target"]) == ("asked", "process")
    assert all(
        behind[fact] == getattr(promoted, fact)
        for fact in ("commit", "data_md5", "digest", "run_id", "version")
    )
    # The gate's verdict, or a rollback by another test of the same servers.
    decided = project.ledger.get(project.served().cause or "")
    assert decided is not None
    assert behind["decision"] == decided.record.sentence


def test_a_table_is_asked_about_as_the_model_that_serves_knows_it(served: Orchard) -> None:
    params, file = served.root / "params.yaml", served.root / ".mlops" / "asked.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    text = params.read_text()
    # For the next model: this one was trained with heat, and knows nothing of weight.
    params.write_text(text.replace("    heat: number", "    weight: number"))
    try:
        told = served.mlops("predict", str(file))
    finally:
        params.write_text(text)
    assert told.code == 0, told.err
    assert json.loads(told.out)["id"]


def test_deploying_again_leaves_what_serves_alone(served: Orchard) -> None:
    before = deploy.serving(served.project)
    served.flow("deploy")
    assert deploy.serving(served.project) == before


def test_another_limit_is_another_deployment(served: Orchard) -> None:
    params = served.root / "params.yaml"
    text, before = params.read_text(), served.project.ledger.last(DeploymentServed)
    rows = [ROW] * 300
    assert before is not None
    params.write_text(text.replace("deploy:\n", "deploy:\n  max_rows: 299\n"))
    try:
        served.flow("deploy")
        with (
            Client(served.project.folder.address) as client,
            pytest.raises(MlopsError, match="the limit is 299"),
        ):
            client.predict(rows)
    finally:
        params.write_text(text)
        served.flow("deploy")
    with Client(served.project.folder.address) as client:
        assert len(client.predict(rows)["predictions"]) == 300
    after = served.project.ledger.last(DeploymentServed)
    assert after is not None
    assert after.record == before.record  # with the same limits it is the same, and was still warm


def test_a_model_is_deployed_to_a_target_that_the_project_brings(served: Orchard) -> None:
    params, file = served.root / "params.yaml", served.root / ".mlops" / "asked.jsonl"
    text, before = params.read_text(), served.project.ledger.last(DeploymentServed)
    (served.root / "targets").mkdir()
    (served.root / "targets" / "bare.py").write_text(TARGET)
    file.write_text(json.dumps(ROW) + "\n")
    params.write_text(text.replace("target: process", "target: targets/bare.py:Bare"))
    try:
        deployed = served.mlops("deploy")
        assert deployed.code == 0, deployed.err
        predicted = served.mlops("predict", str(file))
        assert predicted.code == 0, predicted.err
        serving = deploy.serving(served.project)
        behind = served.mlops("why", json.loads(predicted.out)["id"])
        assert "bare" in behind.out
    finally:
        params.write_text(text)
        back = served.mlops("deploy")
        shutil.rmtree(served.root / "targets")
    assert serving is not None
    assert serving[1].target == "bare"
    assert back.code == 0, back.err
    after = served.project.ledger.last(DeploymentServed)
    assert before is not None
    assert after is not None
    assert after.record.target == before.record.target == "process"


def test_status_tells_what_serves_as_one_object(served: Orchard) -> None:
    def seen() -> dict[str, Any] | None:
        told = served.mlops("status", "--json")
        assert told.code == 0, told.err
        status: dict[str, Any] = json.loads(told.out)
        # It does not wait for a part that is slow to answer.
        return status if status["reachable"] and all(part["up"] for part in status["parts"]) else None

    status = until("status with every part up", seen)
    assert status["serving"]["digest"] == served.project.served().record.digest
    assert [part["part"] for part in status["parts"]] == ["prefect", "mlflow", "gateway", "runner"]
