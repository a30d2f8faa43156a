"""What a server asks of us, told by its clients' own variables."""

from __future__ import annotations

import pytest

from mlops.config.settings import Settings
from mlops.net import credentials

BASIC = "Basic YWRhOnNlY3JldA=="  # ada:secret


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        if field.validation_alias:
            monkeypatch.delenv(str(field.validation_alias), raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_a_login_is_sent_as_the_servers_own_clients_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = settings(monkeypatch, PREFECT_API_KEY="key", MLFLOW_TRACKING_TOKEN="token")
    assert credentials.for_prefect(configured).authorization == "Bearer key"
    assert credentials.for_mlflow(configured).authorization == "Bearer token"
    configured = settings(
        monkeypatch,
        PREFECT_API_AUTH_STRING="ada:secret",
        MLFLOW_TRACKING_USERNAME="ada",
        MLFLOW_TRACKING_PASSWORD="secret",
    )
    assert credentials.for_prefect(configured).authorization == BASIC
    assert credentials.for_mlflow(configured).authorization == BASIC
    assert "secret" not in repr(configured)


def test_without_one_none_is_sent() -> None:
    assert (
        credentials.for_prefect(Settings()).authorization
        == credentials.for_mlflow(Settings()).authorization
        == ""
    )
    assert credentials.variables(Settings()) == {}


def test_what_clients_read_is_handed_on_but_for_the_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = settings(
        monkeypatch, PREFECT_API_URL="http://p", PREFECT_API_KEY="key", MLFLOW_TRACKING_INSECURE_TLS="true"
    )
    assert credentials.variables(configured) == {
        "PREFECT_API_KEY": "key",
        "MLFLOW_TRACKING_INSECURE_TLS": "True",
    }
