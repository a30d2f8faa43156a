"""What every test shares: which machines run it."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling


def _engine_answers() -> bool:
    from mlops.adapters.targets.docker import available

    return available()


# The same examples at each run, and no deadline: other tests keep this machine busy.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

_NEEDS = {
    "engine": (_engine_answers, "MLOPS_REQUIRE_ENGINE", "no container engine answers"),
    "postgres": (
        lambda: bool(os.environ.get("MLOPS_TEST_POSTGRES")),
        "MLOPS_REQUIRE_POSTGRES",
        "MLOPS_TEST_POSTGRES names no database",
    ),
    "browser": (lambda: shutil.which("chromium") is not None, "MLOPS_REQUIRE_BROWSER", "no Chromium on PATH"),
}


class ByServers(LoadScopeScheduling):
    """A file is run by one worker; files whose tests share servers, by the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder.endswith(("/flows", "/cli")) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServers:
    """Hand the tests out."""
    return ByServers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason; where it is required, let it fail."""
    for marker, (there, required, reason) in _NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not os.environ.get(required) and not there():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own MLflow and Prefect out of the tests."""
    addresses = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "MLOPS_LEDGER_URI")
    logins = (
        "PREFECT_API_AUTH_STRING",
        "PREFECT_API_KEY",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_TOKEN",
    )
    for name in (*addresses, *logins):
        monkeypatch.delenv(name, raising=False)
