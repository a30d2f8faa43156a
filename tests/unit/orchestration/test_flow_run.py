"""What a person finds on Prefect's pages of a flow: its words, its form, the names of its runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import State
from prefect.states import Completed, StateType
from prefect.utilities.callables import parameter_schema

from mlops.adapters.prefect_server.rest import FLOWS
from mlops.config.project_folder import find_project
from mlops.errors import UnexpectedError
from mlops.ledger.outcome import Outcome
from mlops.orchestration import flow_run
from mlops.orchestration.run_flow import load_flow
from mlops.orchestration.task import step

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
QUICK = {"train", "monitor", "retrain", "deploy"}


@pytest.fixture(scope="module", params=FLOWS)
def flow(request: pytest.FixtureRequest) -> Any:
    return load_flow(find_project(Path(__file__).parent), request.param)


def test_every_parameter_has_a_description_and_a_type_that_a_form_can_show(flow):
    for name, field in parameter_schema(flow.fn).properties.items():
        assert field.get("description"), f"{flow.name}: {name}"
        kinds = [kind.get("type") for kind in field.get("anyOf", [field])]
        assert set(kinds) <= {"string", "boolean", "integer", "object", "array", "null"}, (
            f"{flow.name}: {name}"
        )
        assert kinds[0] != "null"


def test_a_time_is_picked_and_not_typed(flow):
    for name, field in parameter_schema(flow.fn).properties.items():
        if name == "as_of":
            assert "date-time" in [kind.get("format") for kind in field["anyOf"]]


def test_the_defaults_of_the_form_are_valid(flow):
    schema = parameter_schema(flow.fn)
    assert flow.name not in QUICK or not schema.required
    if not schema.required:
        defaults = {name: field["default"] for name, field in schema.properties.items()}
        assert flow.validate_parameters(defaults) == defaults


def test_a_flow_is_described_without_the_list_of_its_parameters(flow):
    told = flow_run.description(flow.description)
    assert told.splitlines()[0].endswith(".")
    assert "Args" not in told
    assert "----" not in told


@pytest.mark.parametrize(
    ("flow", "parameters", "name"),
    [
        ("monitor", {"as_of": datetime(2013, 4, 1, tzinfo=UTC)}, "monitor as of 2013-04-01"),
        ("monitor", {"as_of": datetime(2013, 4, 1, 6, 30, tzinfo=UTC)}, "monitor as of 2013-04-01T06:30"),
        ("monitor", {"as_of": None}, "monitor 2026-11-22 06:00 UTC"),
        ("retrain", {"as_of": None, "cause": "9f86d081884c7d65"}, "retrain on drift"),
        ("ingest", {"file": Path("/data/january.parquet"), "more": ()}, "ingest january.parquet"),
        ("ingest", {"file": "s3://b/a.csv", "more": ["/d/b.csv", "c.csv"]}, "ingest a.csv b.csv, c.csv"),
        ("train", {"force": True}, "train (force)"),
        ("train", {"force": False}, "train 2026-11-22 06:00 UTC"),
    ],
)
def test_a_run_is_named_by_what_it_was_asked(flow, parameters, name):
    assert flow_run.run_name(flow, parameters, at=AT) == name


def test_a_refusal_is_a_completed_run_that_says_so():
    state = flow_run.ended("Refused: no better.", refused=True)
    assert (state.type, state.name, state.message) == (
        StateType.COMPLETED,
        "Refused",
        "Refused: no better.",
    )
    assert flow_run.ended("Promoted.").name == "Completed"


def test_whoever_calls_gets_the_outcome():
    assert flow_run.ended("No drift.").result() == Outcome("No drift.")


def test_what_nobody_foresaw_says_where_it_is_told_in_full(tmp_path):
    @step(name="look it up")
    def broken(root: Path) -> None:
        raise KeyError("dep_hour")

    with pytest.raises(UnexpectedError, match="'look it up' failed: KeyError: 'dep_hour'") as told:
        broken.fn(tmp_path)  # type: ignore[attr-defined]
    assert "logs" in told.value.remedy


@pytest.mark.parametrize("refused", [False, True])
def test_what_a_run_gave_is_told_by_its_state_where_prefect_kept_nothing_else(refused):
    ended = flow_run.ended("Version 2 is better.", refused=refused)
    ours = State.model_validate(ended.model_dump(exclude={"data"}))
    assert ours.data is None
    assert flow_run.outcome(ended) == flow_run.outcome(ours) == Outcome("Version 2 is better.", refused)


def test_a_flow_that_a_person_wrote_may_give_anything():
    assert flow_run.outcome(Completed(data=7)).text == "Ended with 7."
    assert flow_run.outcome(Completed(data=None)).text == "Ended."
