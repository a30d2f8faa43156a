"""Schedules as Prefect has them: declared, paused by hand, kept over restarts, caught up once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.config.project_folder import ProjectFolder, find_project
from mlops.data.lake import Lake
from mlops.errors import ConfigError, UnavailableError, UsageError
from mlops.files.ports import free_port
from mlops.ledger.records import DataVersioned, RetrainFinished, RetrainRefused
from mlops.project import schedule as schedules
from mlops.project.health import tools_supervisor
from tests.flows.orchard import Orchard, mlops, plums, stamped
from tests.patience import until

NOW = datetime.now(UTC)
UNATTENDED = "PREFECT__RUNTIME__DEPLOYMENT__ID"
"""With it, a flow takes itself for one that Prefect started."""


class Prefect:
    """The running Prefect as a person with its UI uses it."""

    def __init__(self, orchard: Orchard) -> None:
        self.ask, self.name = orchard.ask, orchard.project.params.data.name

    def deployment(self, flow: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/deployments/name/{flow}/{self.name}")
        return found

    def register(self, flow: str) -> None:
        id = self.ask("POST", "/flows/", {"name": flow})["id"]
        self.ask("POST", "/deployments/", {"name": self.name, "flow_id": id})

    def switch(self, flow: str, *, active: bool) -> None:
        """Turn the switch of a flow's only schedule."""
        deployment = self.deployment(flow)
        [schedule] = deployment["schedules"]
        self.ask("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": active})

    def plan(self, flow: str, start: datetime, end: datetime) -> None:
        """Plan the runs of a flow's schedules in a time that may be past."""
        body = {
            "start_time": start.isoformat(),
            "end_time": end.isoformat(),
            "min_runs": 500,
            "max_runs": 500,
        }
        self.ask("POST", f"/deployments/{self.deployment(flow)['id']}/schedule", body)

    def runs(self, flow: str, *names: str) -> list[dict[str, Any]]:
        """Runs of a flow, the first planned first, that are in a state of these names."""
        body: dict[str, Any] = {"deployments": {"id": {"any_": [self.deployment(flow)["id"]]}}}
        body["flow_runs"] = {"state": {"name": {"any_": names}}} if names else {}
        found = self.ask(
            "POST", "/flow_runs/filter", {**body, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        )
        return list(found)


@pytest.fixture(scope="module")
def beside(running: Orchard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another project that uses the Prefect of the first, and has no runner: its runs stay planned."""
    uri = running.project.folder.prefect_uri
    return stamped(tmp_path_factory.mktemp("beside") / "figs", name="figs", extra=f"PREFECT_API_URL={uri}\n")


@pytest.fixture(scope="module")
def figs(beside: Path) -> Prefect:
    prefect = Prefect(Orchard(beside))
    for flow in ("monitor", "retrain"):
        prefect.register(flow)
    return prefect


@pytest.fixture
def folder(beside: Path, figs: Prefect) -> Iterator[ProjectFolder]:
    """The other project; its declaration and its pauses are put back afterwards."""
    params = beside / "params.yaml"
    text = params.read_text()
    yield find_project(beside)
    params.write_text(text)
    schedules.apply(find_project(beside))
    for flow in ("monitor", "retrain"):
        deployment = figs.deployment(flow)
        figs.ask("POST", f"/deployments/{deployment['id']}/resume_deployment")
        for run in figs.runs(flow, "Scheduled", "Late"):
            figs.ask("DELETE", f"/flow_runs/{run['id']}")


def again(folder: ProjectFolder) -> ProjectFolder:
    """The project as its files and the environment are now."""
    return find_project(folder.root)


def seen(folder: ProjectFolder, flow: str) -> schedules.Upcoming:
    return next(each for each in schedules.upcoming(again(folder)) if each.flow == flow)


def test_a_schedule_that_is_set_is_in_prefect_with_its_time_zone(
    folder: ProjectFolder, figs: Prefect
) -> None:
    told = mlops(
        folder.root, "schedule", "set", "monitor", "0 6 * * 1", "--timezone", "America/New_York", "--json"
    )
    assert told.code == 0, told.err
    [schedule] = figs.deployment("monitor")["schedules"]
    assert schedule["active"]
    assert schedule["schedule"]["cron"] == "0 6 * * 1"
    assert schedule["schedule"]["timezone"] == "America/New_York"
    said = json.loads(told.out)
    planned = datetime.fromisoformat(said["next"])
    assert planned > datetime.now(UTC)
    assert planned.strftime("%a %M") == "Mon 00"
    assert planned.hour in (10, 11)  # 6 o'clock in New York
    assert (said["cadence"], said["paused"], said["declared"]) == ("0 6 * * 1", False, None)
    assert "timezone: America/New_York" in (folder.root / "params.yaml").read_text()


def test_an_interval_counts_from_midnight_there_whenever_it_was_set(folder: ProjectFolder) -> None:
    for _ in range(2):
        set_ = schedules.declare(again(folder), "retrain", "6h", "Asia/Kolkata")
        assert set_.next is not None
        assert set_.next.strftime("%H:%M") in {"00:30", "06:30", "12:30", "18:30"}  # 6, 12, 18, 0 there
    assert set_.cadence == "every 6h"


def test_what_is_applied_twice_is_there_once(folder: ProjectFolder, figs: Prefect) -> None:
    schedules.declare(folder, "monitor", "6h")
    before = figs.deployment("monitor")["schedules"]
    assert schedules.apply(again(folder)) == []
    assert figs.deployment("monitor")["schedules"] == before
    assert len(before) == 1


def test_an_edit_by_hand_is_shown_and_then_applied(folder: ProjectFolder, figs: Prefect) -> None:
    schedules.declare(folder, "monitor", "6h")
    params = folder.root / "params.yaml"
    params.write_text(params.read_text().replace("monitor: 6h", "monitor: 0 4 * * *"))
    was = seen(folder, "monitor")
    assert (was.cadence, was.declared) == ("every 6h", "0 4 * * *")
    assert schedules.apply(again(folder)) == ["monitor"]
    now = seen(folder, "monitor")
    assert (now.cadence, now.declared) == ("0 4 * * *", None)


def test_a_schedule_taken_away_is_gone_and_its_runs_too(folder: ProjectFolder, figs: Prefect) -> None:
    schedules.declare(folder, "monitor", "6h")
    assert figs.runs("monitor", "Scheduled")
    told = mlops(folder.root, "schedule", "unset", "monitor")
    assert told.code == 0, told.err
    assert "by hand or by event" in told.out
    assert figs.deployment("monitor")["schedules"] == []
    assert figs.runs("monitor", "Scheduled") == []


@pytest.mark.parametrize("by", ["verb", "deployment", "schedule"])
def test_a_pause_outlives_applying_and_another_cadence(folder: ProjectFolder, figs: Prefect, by: str) -> None:
    schedules.declare(folder, "monitor", "6h")
    if by == "verb":
        schedules.pause(folder, "monitor")
    elif by == "deployment":
        figs.ask("POST", f"/deployments/{figs.deployment('monitor')['id']}/pause_deployment")
    else:
        figs.switch("monitor", active=False)
    assert seen(folder, "monitor").paused
    schedules.apply(again(folder))
    changed = schedules.declare(again(folder), "monitor", "0 4 * * *")
    assert (changed.cadence, changed.paused, changed.next) == ("0 4 * * *", True, None)
    resumed = schedules.resume(again(folder), "monitor")
    assert not resumed.paused
    assert resumed.next is not None


def test_a_schedule_that_a_person_added_in_prefect_stays(folder: ProjectFolder, figs: Prefect) -> None:
    schedules.declare(folder, "monitor", "6h")
    deployment = figs.deployment("monitor")
    figs.ask("POST", f"/deployments/{deployment['id']}/schedules", [{"schedule": {"cron": "1 2 * * *"}}])
    schedules.declare(again(folder), "monitor", "8h")
    crons = [each["schedule"].get("cron") for each in figs.deployment("monitor")["schedules"]]
    assert sorted(crons, key=str) == ["1 2 * * *", None]
    for each in figs.deployment("monitor")["schedules"]:
        figs.ask("DELETE", f"/deployments/{deployment['id']}/schedules/{each['id']}")


def test_of_what_was_missed_the_newest_stays(
    folder: ProjectFolder, figs: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops.adapters.prefect_server.rest._PAGE", 5)
    schedules.declare(folder, "monitor", "1h")
    schedules.declare(again(folder), "retrain", "1h")
    figs.plan("monitor", NOW - timedelta(hours=12), NOW)
    figs.plan("retrain", NOW - timedelta(hours=1), NOW)
    by_hand = figs.ask("POST", f"/deployments/{figs.deployment('monitor')['id']}/create_flow_run", {})
    overdue = [run for run in figs.runs("monitor", "Scheduled", "Late") if run["id"] != by_hand["id"]]
    assert len(overdue) > 12

    assert schedules.catch_up(folder, now=NOW) in {11, 12}

    left = [run for run in figs.runs("monitor", "Scheduled", "Late") if run["id"] != by_hand["id"]]
    due = [run for run in left if datetime.fromisoformat(run["expected_start_time"]) <= NOW]
    assert len(due) == 1
    assert NOW - datetime.fromisoformat(due[0]["expected_start_time"]) <= timedelta(hours=1)
    assert len(left) > 1, "what is planned for later stays planned"
    skipped = figs.runs("monitor", "Skipped")
    assert {run["state_type"] for run in skipped} == {"CANCELLED"}
    assert "the run planned for" in skipped[0]["state"]["message"]
    assert len([run for run in figs.runs("retrain", "Scheduled", "Late") if _past(run)]) == 1
    assert figs.runs("retrain", "Skipped") == []
    assert figs.ask("GET", f"/flow_runs/{by_hand['id']}")["state_name"] in {"Scheduled", "Late"}
    assert schedules.catch_up(folder, now=NOW) == 0


def test_of_what_each_schedule_missed_its_own_newest_stays() -> None:
    planners = ["ours", "theirs", "ours", "theirs", "theirs", None]
    overdue = [
        {"id": n, "deployment_id": "monitor", "created_by": planner and {"id": planner}}
        for n, planner in enumerate(planners)
    ]
    pairs = [(run["id"], kept["id"]) for run, kept in schedules._superseded(overdue)]
    assert pairs == [(2, 0), (3, 1), (4, 1)]


def test_what_another_team_missed_under_the_same_name_is_theirs(folder: ProjectFolder, figs: Prefect) -> None:
    figs.register("nightly")
    theirs = figs.deployment("nightly")["id"]
    figs.ask("POST", f"/deployments/{theirs}/schedules", [{"schedule": {"interval": 3600}}])
    figs.plan("nightly", NOW - timedelta(hours=6), NOW)
    try:
        assert len([run for run in figs.runs("nightly", "Scheduled", "Late") if _past(run)]) > 4
        assert schedules.catch_up(folder, now=NOW) == 0
        assert figs.runs("nightly", "Skipped") == []
    finally:
        figs.ask("DELETE", f"/deployments/{theirs}")


def test_a_clone_with_the_same_ports_does_not_ask_the_servers_of_the_other(
    running: Orchard, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(running.root), str(clone)], check=True)
    (clone / ".env").write_text((running.root / ".env").read_text())
    folder = find_project(clone)
    assert folder.prefect_uri == running.project.folder.prefect_uri
    with pytest.raises(UnavailableError, match="this project runs none"):
        schedules.pause(folder, "monitor")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"size": 4.0, "heat": 20.0, "colour": "red"}\n')
    told = mlops(clone, "predict", str(rows))
    assert told.code == 1
    assert "this project runs none" in told.err
    down = [
        part["part"] for part in json.loads(mlops(clone, "status", "--json").out)["parts"] if not part["up"]
    ]
    assert down == ["prefect", "mlflow", "gateway", "runner"]


def test_a_bad_word_changes_neither_the_file_nor_prefect(folder: ProjectFolder, figs: Prefect) -> None:
    text = (folder.root / "params.yaml").read_text()
    with pytest.raises(ConfigError, match=r"schedule\.monitor"):
        schedules.declare(folder, "monitor", "99 * * * *")
    with pytest.raises(ConfigError, match=r"schedule\.timezone"):
        schedules.declare(folder, "monitor", "6h", "Mars")
    with pytest.raises(ConfigError, match=r"data\.source"):
        schedules.declare(folder, "ingest", "6h")
    with pytest.raises(UsageError, match="train cannot be scheduled"):
        schedules.declare(folder, "train", "6h")
    with pytest.raises(UsageError, match="monitor has no schedule"):
        schedules.pause(folder, "monitor")
    assert (folder.root / "params.yaml").read_text() == text
    assert figs.deployment("monitor")["schedules"] == []


def test_a_flow_that_no_runner_registered_is_only_declared(folder: ProjectFolder) -> None:
    params = folder.root / "params.yaml"
    params.write_text(params.read_text().replace("target: ripe", "target: ripe\n  source: incoming"))
    set_ = schedules.declare(again(folder), "ingest", "6h")
    assert (set_.cadence, set_.next, set_.paused) == ("every 6h", None, None)
    with pytest.raises(UnavailableError, match="deployment of ingest"):
        schedules.pause(again(folder), "ingest")


def test_without_prefect_a_schedule_is_declared_and_a_pause_is_not(
    folder: ProjectFolder, figs: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
        told = mlops(folder.root, "schedule", "set", "monitor", "6h")
        assert told.code == 0, told.err
        assert "monitor  every 6h (UTC)" in told.out
        assert "Prefect does not respond" in told.out
        assert "mlops up" in told.out
        with pytest.raises(UnavailableError, match="Prefect does not respond") as refused:
            schedules.pause(again(folder), "monitor")
        assert "mlops up" in refused.value.remedy
    assert figs.deployment("monitor")["schedules"] == []
    assert schedules.apply(again(folder)) == ["monitor"]


def test_what_prefect_does_by_itself_would_end_a_pause(folder: ProjectFolder, figs: Prefect) -> None:
    """The negative control of what the runner registers: the same, with Prefect's defaults sent."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from mlops.orchestration.runner import deployments

    id = figs.deployment("monitor")["id"]
    figs.ask("POST", f"/deployments/{id}/pause_deployment")
    with temporary_settings({PREFECT_API_URL: folder.prefect_uri}):
        made = next(each for each in deployments(folder) if each.flow_name == "monitor")
        made.apply()
        assert figs.deployment("monitor")["paused"]
        made.model_fields_set.add("paused")
        made.apply()
    assert not figs.deployment("monitor")["paused"]


def test_a_scheduled_ingest_leaves_the_person_alone_and_adds_a_table_once(
    folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder.root
    orchard = Orchard(root)
    incoming = root / "incoming"
    incoming.mkdir()
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("target: ripe", "target: ripe\n  source: incoming"))
    monkeypatch.setenv(UNATTENDED, "of a schedule")

    assert orchard.flow("ingest").text == "Nothing new in data.source."
    assert orchard.project.ledger.entries(DataVersioned) == []
    plums(0, 2, season=0).to_parquet(incoming / "b.parquet")
    plums(2, 1, season=0).to_csv(incoming / "a.csv", index=False)
    (incoming / "notes.txt").write_text("no table")
    person = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")

    with monkeypatch.context() as killed:
        killed.setattr("mlops.project.ingest.version", _die)
        with pytest.raises(Exception, match="killed"):
            orchard.flow("ingest")
    assert "the data is at version" in orchard.flow("ingest").text
    lake = Lake(orchard.project.folder.worktree / "data" / "lake")
    assert len(lake.read(orchard.project.schema)) == 120
    assert orchard.flow("ingest").text == "Nothing new in data.source."

    [versioned] = orchard.project.ledger.entries(DataVersioned)
    assert git(root, "rev-parse", "mlops/loop") == versioned.record.commit
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")) == person
    assert not (root / "data" / "lake.dvc").exists()

    plums(3, 1, season=0).drop(columns="heat").to_csv(incoming / "c.csv", index=False)
    plums(4, 1, season=0).to_csv(incoming / "d.csv", index=False)
    with pytest.raises(Exception, match=r"c\.csv: .* has no column heat"):
        orchard.flow("ingest")
    assert len(orchard.project.ledger.entries(DataVersioned)) == 1

    (incoming / "c.csv").unlink()
    monkeypatch.delenv(UNATTENDED)
    with monkeypatch.context() as killed:
        killed.setattr("mlops.project.ingest.version", _die)
        with pytest.raises(Exception, match="killed"):
            orchard.flow("ingest")
    by_hand = mlops(root, "ingest")  # into the person's lake, where a killed one left them
    assert by_hand.code == 0, by_hand.err
    assert git(root, "rev-parse", "HEAD") != person[0]
    assert git(root, "status", "--porcelain", "data") == ""
    assert len(orchard.project.ledger.entries(DataVersioned)) == 2
    assert orchard.flow("ingest").text == "Nothing new in data.source."


def test_to_ingest_nothing_from_nowhere_is_a_usage_error(folder: ProjectFolder) -> None:
    with pytest.raises(UsageError, match=r"data\.source") as refused:
        Orchard(folder.root).flow("ingest")
    assert "mlops ingest FILE" in refused.value.remedy


def test_a_scheduled_retraining_that_is_refused_says_so_in_the_ledger(
    served: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(UNATTENDED, "of a schedule")
    outcome = served.flow("retrain")
    assert outcome.refused
    # By the policy where too little is new, else by the gate.
    entry = served.project.ledger.last(RetrainRefused, RetrainFinished)
    assert entry is not None
    assert outcome.text == entry.record.sentence


@pytest.mark.story
def test_a_runner_that_comes_back_keeps_pauses_and_catches_up_once(running: Orchard) -> None:
    project = running.project.folder
    prefect = Prefect(running)
    params = project.root / "params.yaml"
    text = params.read_text()
    now = datetime.now(UTC)
    minute = (now.minute + 30) % 60  # far from now: none is planned for while this runs
    try:
        params.write_text(text + f"\nschedule:\n  monitor: {minute} * * * *\n  retrain: 4w\n")
        up = running.mlops("up")
        assert up.code == 0, up.err
        assert "schedule of monitor updated from params.yaml" in up.err
        schedules.pause(again(project), "retrain")
        runner = tools_supervisor(running.project).pids()["runner"]
        os.kill(runner, signal.SIGSTOP)  # as if the machine slept
        prefect.plan("monitor", now - timedelta(hours=6), now)
        os.kill(runner, signal.SIGKILL)
        until("end of what was missed", lambda: prefect.runs("monitor", "Completed", "Failed"))
        assert len(prefect.runs("monitor", "Skipped")) >= 5
        again_up = running.mlops("up")
        assert again_up.code == 0, again_up.err
        assert seen(project, "retrain").paused
        assert not seen(project, "monitor").paused
        assert len([run for run in prefect.runs("monitor") if run["run_count"] and _past(run, now)]) == 1
        stop = tools_supervisor(running.project).pids()["runner"]
        os.kill(stop, signal.SIGTERM)
        until(
            "runner that came back",
            lambda: tools_supervisor(running.project).pids().get("runner") not in {None, stop},
        )
        assert running.mlops("up").code == 0
        assert seen(project, "retrain").paused
        assert not seen(project, "monitor").paused
    finally:
        prefect.ask("POST", f"/deployments/{prefect.deployment('retrain')['id']}/resume_deployment")
        params.write_text(text)
        last = running.mlops("up")
    assert last.code == 0, last.err
    assert prefect.deployment("monitor")["schedules"] == []


def _die(*_: Any, **__: Any) -> None:
    raise RuntimeError("killed")


def _past(run: dict[str, Any], now: datetime = NOW) -> bool:
    return datetime.fromisoformat(run["expected_start_time"]) <= now


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
