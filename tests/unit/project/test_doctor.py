"""What a project needs of its machine, told from what is handed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.config.consistency import RowRate
from mlops.config.project_folder import load_params
from mlops.ledger.entry import Entry
from mlops.ledger.records import DataVersioned
from mlops.maintenance.machine_limits import check_open_files, check_processes, check_space
from mlops.project.doctor import (
    check_clock,
    check_dvc,
    check_remote,
    check_secrets,
    check_windows,
)
from tests.ledger_rows import made

NOW = datetime(2026, 7, 1, tzinfo=UTC)
GB = 1024**3


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [
        (100 * GB, 50 * GB, "ok"),
        (100 * GB, 4 * GB, "warn"),
        (10 * GB, 1 * GB, "warn"),
        (20 * GB, 3 * GB, "ok"),
    ],
)
def test_little_space_is_a_warning(total: int, free: int, state: str) -> None:
    found = check_space(Path("/"), total, free)
    assert found.state == state
    assert bool(found.remedy) == (state == "warn")


@pytest.mark.parametrize(
    ("limit", "state"), [(64, "fail"), (256, "warn"), (512, "warn"), (1024, "ok"), (1_048_576, "ok")]
)
def test_few_open_files_are_told_with_the_way_to_more(limit: int, state: str) -> None:
    found = check_open_files(limit)
    assert found.state == state
    assert ("ulimit -n 1024" in found.remedy) == (state != "ok")
    assert (str(limit) in found.detail) == (state != "ok")


@pytest.mark.parametrize(("limit", "state"), [(100, "warn"), (4096, "ok")])
def test_few_processes_are_told_with_the_way_to_more(limit: int, state: str) -> None:
    found = check_processes(limit)
    assert found.state == state
    assert ("ulimit -u" in found.remedy) == (state == "warn")


@pytest.mark.parametrize(
    ("recorded", "disk", "state"),
    [
        (None, None, "ok"),
        (NOW - timedelta(days=1), NOW, "ok"),
        (NOW + timedelta(days=1), NOW, "fail"),
        (NOW, NOW - timedelta(minutes=2), "warn"),
    ],
)
def test_a_clock_that_ran_back_fails(recorded: datetime | None, disk: datetime | None, state: str) -> None:
    newest = Entry("a", made(DataVersioned), recorded) if recorded else None
    assert check_clock(NOW, newest, disk).state == state


@pytest.mark.parametrize(
    ("config", "local", "state"),
    [
        ('[cache]\n    type = "reflink,copy"\n[core]\n    analytics = False\n', "", "ok"),
        ("[core]\n    analytics = False\n['remote \"x\"']\n    url = /50%/x\n", "", "ok"),
        ('[cache]\n    type = "reflink,copy"\n', "[cache]\n    type = hardlink\n", "fail"),
        ("[cache]\n    type = symlink,copy\n", "", "fail"),
        ("[cache\n", "", "fail"),
        (None, "", "fail"),
    ],
)
def test_a_cache_that_an_edit_corrupts_fails(
    tmp_path: Path, config: str | None, local: str, state: str
) -> None:
    folder = tmp_path / ".dvc"
    folder.mkdir()
    if config is not None:
        (folder / "config").write_text(config)
    (folder / "config.local").write_text(local)
    found = check_dvc(folder)
    assert found.state == state, found
    assert bool(found.remedy) == (state == "fail")


@pytest.mark.parametrize(
    ("file", "text", "mode", "state"),
    [
        (".env", "MLOPS_PREFECT_PORT=4300\nNOTE=http://host/\n", 0o644, "ok"),
        (".env", "PREFECT_API_AUTH_STRING=ada:secret\n", 0o644, "warn"),
        (".env", "export DB_PASSWORD=secret\n", 0o640, "warn"),
        (".env", "MLOPS_LEDGER_URI=postgresql://ada:secret@host/db\n", 0o644, "warn"),
        (".env", "MLOPS_LEDGER_URI=postgresql://ada:secret@host/db\n", 0o600, "ok"),
        (".dvc/config.local", "['remote \"x\"']\n    secret_access_key = secret\n", 0o644, "warn"),
        (".dvc/config.local", "['remote \"x\"']\n    url = /data\n", 0o644, "ok"),
    ],
)
def test_a_secret_that_others_can_read_is_a_warning(
    tmp_path: Path, file: str, text: str, mode: int, state: str
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / file).write_text(text)
    (tmp_path / file).chmod(mode)
    found = check_secrets(tmp_path)
    assert found.state == state, found
    assert (f"chmod 600 {file}" in found.remedy) == (state == "warn")
    assert "ada" not in found.detail


@pytest.mark.parametrize(
    "url", ["https://ada:secret@127.0.0.1:9/store", "https://127.0.0.1:9/store?sig=secret"]
)
def test_a_remote_is_shown_without_its_password(tmp_path: Path, url: str) -> None:
    (tmp_path / ".dvc").mkdir()
    config = f"[core]\n    remote = far\n['remote \"far\"']\n    url = {url}\n"
    (tmp_path / ".dvc" / "config").write_text(config)
    found = check_remote(tmp_path)
    assert found.state == "fail"
    assert "secret" not in f"{found.detail} {found.remedy}"


def test_windows_that_contradict_one_another_fail_and_those_that_waste_work_warn() -> None:
    flights = load_params(Path(__file__).parents[3] / "params.yaml")
    assert [each.state for each in check_windows(flights, None)] == ["ok"]
    train = flights.train.model_copy(update={"gap": timedelta(0), "window": timedelta(days=1)})
    findings = check_windows(flights.model_copy(update={"train": train}), None)
    assert [each.state for each in findings] == ["fail", "warn"]
    assert "train.gap: got '0d', allowed: 1d or more (monitor.label_maturity" in findings[0].detail
    assert findings[1].remedy == "Edit train.window in params.yaml."
    # What a champion's rows tell: a thousand for the gate do not come in twenty days.
    few = check_windows(flights, RowRate(900, timedelta(days=20)))
    assert [each.state for each in few] == ["warn"]
    assert "gate.min_rows: got 1000, allowed: 900 or fewer" in few[0].detail
