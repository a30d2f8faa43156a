"""What a person finds in Prefect of what the loop did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlops.errors import EmptyWindowError
from mlops.ledger.records import ModelPromoted
from tests.flows.orchard import Closed, Orchard
from tests.patience import until


def asked(orchard: Orchard, what: str, **filter: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orchard.ask("POST", f"/{what}", filter)
    return found


def runs(orchard: Orchard, name: str) -> list[dict[str, Any]]:
    """Runs of this name, oldest first."""
    return asked(
        orchard, "flow_runs/filter", flow_runs={"name": {"any_": [name]}}, sort="EXPECTED_START_TIME_ASC"
    )


def told(orchard: Orchard, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a run told, by key."""
    found = asked(orchard, "artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
    return {artifact["key"]: artifact for artifact in found if artifact["key"]}


@pytest.fixture(scope="module")
def deployment(served: Orchard) -> dict[str, Any]:
    found: dict[str, Any] = served.ask("GET", "/deployments/name/deploy/plums")
    return found


def test_a_retraining_tells_what_it_learnt_from_what_the_gate_said_and_what_serves(closed: Closed) -> None:
    as_of = f"{closed.drift.as_of:%Y-%m-%d}"
    run = next(r for r in runs(closed.orchard, f"retrain as of {as_of} on drift") if told(closed.orchard, r))
    pages = told(closed.orchard, run)
    assert set(pages) == {"plums-data", "plums-training", "plums-deployment"}
    assert pages["plums-training"]["description"] == closed.answer.record.sentence
    promoted = closed.orchard.project.ledger.entries(ModelPromoted)[1]
    assert f"/runs/{promoted.record.run_id}" in pages["plums-training"]["data"]
    assert "previous champion" in pages["plums-training"]["data"]
    assert promoted.record.digest in pages["plums-deployment"]["data"]
    assert run["state"]["message"] == closed.answer.record.sentence


def test_a_judged_window_is_a_table_of_columns_and_leads_to_its_report(closed: Closed) -> None:
    run = runs(closed.orchard, f"monitor as of {closed.drift.as_of:%Y-%m-%d}")[0]
    pages = told(closed.orchard, run)
    assert (run["state"]["message"], run["state_name"]) == (closed.sentences[0], "Completed")
    assert '"column": "size"' in pages["plums-drift"]["data"].replace('":"', '": "')
    assert pages["plums-drift"]["description"] == closed.sentences[0]
    assert "/artifacts/reports/drift-" in pages["plums-window"]["data"]


def test_a_failure_says_in_prefect_what_to_do(served: Orchard) -> None:
    with pytest.raises(EmptyWindowError):
        served.flow("monitor", as_of=datetime(2019, 1, 1, tzinfo=UTC))
    run = runs(served, "monitor as of 2019-01-01")[-1]
    assert run["state_name"] == "Failed"
    assert "served no rows" in run["state"]["message"]
    assert "Pass the end of a window with served rows" in run["state"]["message"]


def test_a_quick_run_works_and_its_log_tells_each_step_once(
    served: Orchard, deployment: dict[str, Any]
) -> None:
    address = f"/deployments/{deployment['id']}/create_flow_run"
    begun = served.ask("POST", address, {"state": {"type": "SCHEDULED"}})

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = served.ask("GET", f"/flow_runs/{begun['id']}")
        return run if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"} else None

    run = until("end of the quick run", ended)
    assert run["state_name"] == "Completed"
    assert run["state"]["message"].startswith("Version ")
    assert "plums-deployment" in told(served, run)

    def lines() -> list[str]:
        mine = asked(served, "logs/filter", logs={"flow_run_id": {"any_": [begun["id"]]}})
        return [line["message"] for line in mine if line["name"] == "mlops"]

    # Lines come in batches, a moment after they were written.
    until("line of the step", lines)
    assert sum(line.startswith("deploy behind the gateway · ") for line in lines()) == 1


def test_a_deployment_is_described_for_people(deployment: dict[str, Any]) -> None:
    assert deployment["description"].startswith("Start the champion, switch the gateway")
    assert {"mlops", "plums"} <= set(deployment["tags"])
