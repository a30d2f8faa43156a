"""What every test shares: which machines run it."""

from __future__ import annotations

import os
import shutil

import pytest


def _engine_answers() -> bool:
    from mlops.adapters.docker import available

    return available()


_NEEDS = {
    "engine": (_engine_answers, "MLOPS_REQUIRE_ENGINE", "no container engine answers"),
    "browser": (lambda: shutil.which("chromium") is not None, "MLOPS_REQUIRE_BROWSER", "no Chromium on PATH"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, and keep together what shares servers."""
    _skip_what_cannot_run(items)
    for item in items:
        together = item.path.parent if item.path.parent.name in {"flows", "cli"} else item.path
        item.add_marker(pytest.mark.xdist_group(together.as_posix()))


def _skip_what_cannot_run(items: list[pytest.Item]) -> None:
    """Skip, with the reason; where the environment requires it, let it fail."""
    for marker, (there, required, reason) in _NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not os.environ.get(required) and not there():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own MLflow and Prefect out of the tests."""
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "MLOPS_LEDGER_URI"):
        monkeypatch.delenv(name, raising=False)
