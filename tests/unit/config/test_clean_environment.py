"""What our processes take over from a shell, and what they leave to the programs it is meant for."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import httpx
import pytest
import requests

from mlops import telemetry
from mlops.config.clean_environment import clean_process, cleaned, cleaned_for, ignored
from mlops.config.settings import DOCUMENTED

OURS = "http://127.0.0.1:4200/api"
OUTSIDE = "https://s3.example.org"

FOREIGN = {
    "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////theirs.db",
    "PREFECT_HOME": "/theirs",
    "PREFECT_PROFILE": "theirs",
    "PREFECT_SERVER_API_AUTH_STRING": "ada:secret",
    "MLFLOW_EXPERIMENT_NAME": "theirs",
    "MLFLOW_BACKEND_STORE_URI": "sqlite:////theirs.db",
    "MLFLOW_REGISTRY_URI": "http://theirs",
    "DVC_STUDIO_TOKEN": "token",
    "UVICORN_ROOT_PATH": "/theirs",
    "WEB_CONCURRENCY": "4",
    "PYARROW_IGNORE_TIMEZONE": "1",
}


def test_variables_of_other_servers_are_left_out_and_named() -> None:
    assert not FOREIGN.keys() & cleaned(FOREIGN).keys()
    assert ignored(FOREIGN) == tuple(sorted(FOREIGN))
    assert ignored(cleaned(FOREIGN)) == ()


def test_what_the_documentation_names_stays() -> None:
    theirs = dict.fromkeys(DOCUMENTED - {"REQUESTS_CA_BUNDLE"}, "value") | {
        "AWS_PROFILE": "theirs",
        "HTTPS_PROXY": "http://proxy.example.org:3128",
        "MLOPS_BASE_IMAGE": "python:3.12",
        "DVC_GLOBAL_CONFIG_DIR": "/theirs",
        "PREFECT__FLOW_RUN_ID": "run",
    }
    assert theirs.items() <= cleaned(theirs).items()
    assert ignored(theirs) == ()
    assert {"MLFLOW_TRACKING_URI", "PREFECT_API_URL", "MLFLOW_TRACKING_TOKEN"} <= DOCUMENTED


@pytest.mark.parametrize("no_proxy", ["", "localhost,.corp.example", "*"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_reached_directly_and_others_through_the_proxy(
    name: str, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "socks5://127.0.0.1:9" if name == "ALL_PROXY" else "http://127.0.0.1:9"
    shell = {name: proxy, "HTTPS_PROXY": proxy, **({"NO_PROXY": no_proxy} if no_proxy else {})}
    for each in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    for variable, value in cleaned(shell).items():
        monkeypatch.setenv(variable, value)

    assert requests.utils.get_environ_proxies(OURS) == {}
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert _is_direct(OURS)
    everything = no_proxy == "*"
    assert (requests.utils.get_environ_proxies(OUTSIDE) == {}) is everything
    assert _is_direct(OUTSIDE) is everything
    if no_proxy == "localhost,.corp.example":
        assert _is_direct("http://git.corp.example")


def _is_direct(address: str) -> bool:
    """Whether httpx, with which Prefect asks, connects to a server itself."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(address)) is client._transport


@pytest.mark.parametrize("lower_wins", [True, False])
def test_of_two_spellings_the_lower_one_counts(lower_wins: bool) -> None:
    shell = {"NO_PROXY": "upper.example", **({"no_proxy": "lower.example"} if lower_wins else {})}
    wanted = f"{'lower' if lower_wins else 'upper'}.example,127.0.0.1,localhost,::1"
    assert cleaned(shell)["no_proxy"] == cleaned(shell)["NO_PROXY"] == wanted


def test_a_file_of_certificates_that_is_gone_is_ignored_by_name(tmp_path: Path) -> None:
    there = tmp_path / "ca.pem"
    there.touch()
    shell = {"SSL_CERT_FILE": str(tmp_path / "gone.pem"), "REQUESTS_CA_BUNDLE": str(there)}
    assert ignored(shell) == ("SSL_CERT_FILE",)
    assert "SSL_CERT_FILE" not in cleaned(shell)
    assert cleaned(shell)["REQUESTS_CA_BUNDLE"] == str(there)


def test_a_python_that_we_start_is_no_other_python() -> None:
    shell = {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert {name: value for name, value in cleaned(shell).items() if name.startswith("PYTHON")} == {
        "PYTHONUTF8": "1"
    }


def test_telemetry_is_off_whatever_the_shell_says() -> None:
    shell = dict.fromkeys(telemetry.SWITCHES, "0")
    assert telemetry.SWITCHES.items() <= cleaned(shell).items()
    assert ignored(shell) == ()


def test_the_repository_of_a_hook_is_not_ours() -> None:
    shell = {"GIT_DIR": "/theirs/.git", "GIT_INDEX_FILE": "/theirs/index", "GIT_SSH_COMMAND": "ssh -i key"}
    assert {name for name in cleaned(shell) if name.startswith("GIT_")} == {"GIT_SSH_COMMAND"}


def test_a_process_is_cleaned_once_and_a_notebook_only_for_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ["MLFLOW_EXPERIMENT_NAME"] = "theirs"
    before = dict(os.environ)
    with cleaned_for({"MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}):
        assert "MLFLOW_EXPERIMENT_NAME" not in os.environ
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
    assert dict(os.environ) == before
    assert clean_process() == ("MLFLOW_EXPERIMENT_NAME",)
    assert "MLFLOW_EXPERIMENT_NAME" not in os.environ
    assert clean_process() == ()
