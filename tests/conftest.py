"""What every test shares: which machines run it."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Before anything loads numpy, here, in the workers and in what they start: the pools of two test
# processes and of the servers beside them would spin for the same cores. What asks for a number of
# threads of its own is left it.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")
# A test that runs a flow leaves Prefect's handler on our logger, and what a later test logs outside of a run
# would be a warning: an error here. Our commands set the same.
os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"

ROOT = Path(__file__).parents[1]


def _engine_answers() -> bool:
    from mlops.adapters.targets.docker import available

    return available()


def _can_mount() -> bool:
    from tests.small_disk import can_mount

    return can_mount()


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
    "mount": (_can_mount, "MLOPS_REQUIRE_MOUNT", "no disk can be mounted"),
    "browser": (lambda: shutil.which("chromium") is not None, "MLOPS_REQUIRE_BROWSER", "no Chromium on PATH"),
}


_SERVERS = re.compile(r"\b(running|trained|served|closed): (Orchard|Closed)\b")
"""How a test or a fixture asks for the loop whose servers run."""
_ONE_LOOP = "the loop that runs"


@cache
def _shares_servers(file: str) -> bool:
    """Return whether a file's tests ask for the dearest fixtures that tests share."""
    return file.startswith("tests/flows/") and bool(_SERVERS.search((ROOT / file).read_text("utf-8")))


def _scope(nodeid: str) -> str:
    """Return what one worker runs as a whole: a file, or those that share the servers, in their order.

    A second worker would start the servers anew, train the first model again, and its reconciler would
    look for work every second until the end.
    """
    file = nodeid.partition("::")[0]
    return _ONE_LOOP if _shares_servers(file) else file


def dearest_first(nodeids: list[str]) -> list[str]:
    """Return tests as workers are to take them: what starts servers first, or one waits for it at the end.

    xdist takes the scopes of most tests first, and a story is a single test of many minutes.
    """
    tests, order = Counter(map(_scope, nodeids)), ("story", "flows", "adapters", "contract")

    def rank(nodeid: str) -> tuple[int, int]:
        scope, folder = _scope(nodeid), nodeid.split("/")[1]
        if scope == _ONE_LOOP:
            return -1, 0
        return order.index(folder) if folder in order else len(order), -tests[scope]

    return sorted(nodeids, key=rank)


class ByServers(LoadScopeScheduling):
    """A scope is run by one worker; they are handed out in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServers:
    """Hand the tests out."""
    return ByServers(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason; where it is required, let it fail."""
    if hasattr(config, "workerinput"):
        by_id = {item.nodeid: item for item in items}
        items[:] = [by_id[nodeid] for nodeid in dearest_first(list(by_id))]
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
