from __future__ import annotations

import pytest

from mlops.errors import UsageError
from mlops.replay.policies import REGISTER, Form, Moment, Policy, parse_policy
from tests.unit.replay.conftest import Player, history, params

FORMS = [form.example for form in REGISTER]


@pytest.mark.parametrize("text", FORMS)
def test_each_form_is_a_policy_of_its_name(text: str) -> None:
    assert parse_policy(text, params()).name == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "sometimes",
        "every",
        "every=",
        "every=0d",
        "every=soon",
        "rows=0",
        "rows=many",
        "rows",
        "never=1",
    ],
)
def test_what_names_no_policy_is_an_error_that_lists_them(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_policy(text, params())
    assert "--policy" in error.value.message
    assert all(form in error.value.remedy for form in FORMS)


def test_params_takes_no_value_and_says_how_to_change_a_setting() -> None:
    with pytest.raises(UsageError, match="--set KEY=VALUE"):
        parse_policy("params=1", params())


def test_a_cron_line_counts_as_the_time_between_its_runs() -> None:
    policy = parse_policy("params", params(schedule={"retrain": "0 6 * * 1"}))
    assert str(policy.is_due.length) == "7 days, 0:00:00"  # type: ignore[attr-defined]


def test_a_policy_from_outside_is_played_by_its_word(played: Player) -> None:
    def in_march(moment: Moment) -> bool:
        return moment.as_of.month == 3

    REGISTER.register(Form("march", "march", lambda text, value, params: Policy(text, in_march, gated=False)))
    assert parse_policy("march", params()).name == "march"
    assert played("march", history()).trainings > 0
