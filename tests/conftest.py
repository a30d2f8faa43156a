"""What every test shares: which machines run it."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Before anything loads numpy, here, in the workers and in what they start: the pools of two test
# processes and of the servers beside them would spin for the same cores. What asks for a number of
# threads of its own is left it.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")


def _engine_answers() -> bool:
    from mlops.adapters.targets.docker import available

    return available()


# The same examples at each run, and no deadline: other tests keep this machine busy.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
# For `make fast`, by --hypothesis-profile.
settings.register_profile("quick", settings.get_profile("steady"), max_examples=20)

_NEEDS = {
    "engine": (_engine_answers, "MLOPS_REQUIRE_ENGINE", "no container engine answers"),
    "postgres": (
        lambda: bool(os.environ.get("MLOPS_TEST_POSTGRES")),
        "MLOPS_REQUIRE_POSTGRES",
        "MLOPS_TEST_POSTGRES names no database",
    ),
    "browser": (lambda: shutil.which("chromium") is not None, "MLOPS_REQUIRE_BROWSER", "no Chromium on PATH"),
}


_FIRST_MODEL = {"trained", "served", "closed"}
"""Fixtures of a loop whose servers run and whose first model is trained: the dearest that tests share."""


class ByServers(LoadScopeScheduling):
    """Tests that share the first model are run by one worker; of the others, each file is."""

    def _split_scope(self, nodeid: str) -> str:
        test, _, group = nodeid.rpartition("@")
        return group if test and "]" not in group else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServers:
    """Hand the tests out."""
    return ByServers(config, log)


@pytest.hookimpl(tryfirst=True)  # before xdist writes the groups into the tests' ids
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group what shares servers; skip what this machine cannot run, or let it fail where it is required."""
    for item in items:
        grouped = item.get_closest_marker("xdist_group")
        if grouped is None and not _FIRST_MODEL.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("model"))
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
