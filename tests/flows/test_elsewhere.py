"""Projects that share one Prefect and one MLflow, and none gets in another's way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from mlops.adapters.git.worktree import Tree
from mlops.adapters.prefect_server.rest import Deployments
from mlops.config.project_folder import find_project
from mlops.errors import MlopsError, NameTakenError, PortTakenError
from mlops.files.ports import free_port
from mlops.ledger.records import ModelRegistered
from mlops.net.request import get
from mlops.orchestration.orphans import reap
from mlops.orchestration.tasks import train
from mlops.project.doctor import examine
from mlops.project.health import health, registered, serving_supervisor, tools_supervisor
from mlops.project.up import REGISTERS, ensure, up
from tests.flows.conftest import orphans
from tests.flows.orchard import HISTORY, Orchard, Told, plums, stamped
from tests.flows.test_reaping import of
from tests.patience import until

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def pears(running: Orchard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orchard, Told]]:
    project = running.project.folder
    elsewhere = f"PREFECT_API_URL={project.prefect_uri}\nMLFLOW_TRACKING_URI={project.mlflow_uri}\n"
    orchard = Orchard(stamped(tmp_path_factory.mktemp("elsewhere") / "pears", name="pears", extra=elsewhere))
    yield orchard, orchard.mlops("up")
    down = orchard.mlops("down", "--serving")
    assert down.code == 0, down.err
    assert orphans(orchard) == []


def test_up_uses_what_runs_elsewhere_and_says_so(pears: tuple[Orchard, Told]) -> None:
    orchard, up = pears
    assert up.code == 0, up.err
    assert "(PREFECT_API_URL)" in up.err
    assert "(MLFLOW_TRACKING_URI)" in up.err
    project = orchard.project
    assert set(tools_supervisor(project).pids()) == {"runner"}
    assert set(serving_supervisor(project).pids()) == {"gateway"}
    assert [part.problem for part in health(project, timeout=5)] == [""] * 4


def test_another_project_s_runs_are_not_reaped(running: Orchard, pears: tuple[Orchard, Told]) -> None:
    orchard, _ = pears
    deployment = running.ask("GET", "/deployments/name/deploy/plums")["id"]
    pending = {"state": {"type": "PENDING"}}
    theirs = running.ask("POST", f"/deployments/{deployment}/create_flow_run", pending)["id"]
    try:
        with of(running):
            assert reap(orchard.project, now=datetime.now(UTC) + timedelta(minutes=2)) == []
        assert running.ask("GET", f"/flow_runs/{theirs}")["state_type"] == "PENDING"
    finally:
        cancelled = {"state": {"type": "CANCELLED"}, "force": True}
        running.ask("POST", f"/flow_runs/{theirs}/set_state", cancelled)


@pytest.fixture(scope="module")
def both(trained: Orchard, pears: tuple[Orchard, Told]) -> tuple[Orchard, Orchard]:
    """Both with data, a schedule and a model of their own."""
    orchard, _ = pears
    file = orchard.root / ".mlops" / "history.parquet"
    plums(0, HISTORY, season=1).to_parquet(file)
    for words in (["ingest", str(file)], ["schedule", "set", "monitor", "0 6 * * 1"], ["train"]):
        done = orchard.mlops(*words)
        assert done.code == 0, done.err
    return trained, orchard


def test_each_has_its_own_experiment_versions_and_champion(both: tuple[Orchard, Orchard]) -> None:
    ours, theirs = both
    client = MlflowClient(ours.project.folder.mlflow_uri)
    for orchard, name in ((ours, "plums"), (theirs, "pears")):
        registered = orchard.project.ledger.entries(ModelRegistered)
        held = {(v.version, v.run_id) for v in client.search_model_versions(f"name='{name}'")}
        assert held == {(e.record.version, e.record.run_id) for e in registered}
        experiment = client.get_experiment_by_name(name)
        assert experiment.tags["mlops.project"] == orchard.project.origin
        runs = client.search_runs([experiment.experiment_id])
        assert {run.info.run_id for run in runs} >= {e.record.run_id for e in registered}
        champion = client.get_model_version_by_alias(name, "champion")
        assert champion.run_id == orchard.project.promoted().record.run_id
    assert ours.project.promoted().record.digest != theirs.project.promoted().record.digest


def test_each_has_its_own_deployments_schedule_trigger_and_page(both: tuple[Orchard, Orchard]) -> None:
    ours, theirs = both
    for orchard, name, schedules in ((ours, "plums", 0), (theirs, "pears", 1)):
        monitor = orchard.ask("GET", f"/deployments/name/monitor/{name}")
        assert str(orchard.root) in monitor["entrypoint"]
        assert len(monitor["schedules"]) == schedules
        assert {"mlops", name} < set(monitor["tags"])
        orchard.ask("GET", f"/artifacts/{name}-training/latest")
    triggers = {each["name"]: each["actions"] for each in ours.ask("POST", "/automations/filter", {})}
    retrains = [triggers[f"{name}: retrain on confirmed drift"] for name in ("plums", "pears")]
    assert [
        ours.ask("GET", f"/deployments/{actions[0]['deployment_id']}")["name"] for actions in retrains
    ] == ["plums", "pears"]


def test_the_drift_of_one_starts_nothing_of_the_other(both: tuple[Orchard, Orchard]) -> None:
    ours, theirs = both

    def retrainings(orchard: Orchard, name: str) -> list[Any]:
        which = {"deployments": {"name": {"any_": [name]}}, "flows": {"name": {"any_": ["retrain"]}}}
        return [run["id"] for run in orchard.ask("POST", "/flow_runs/filter", which)]

    before = retrainings(ours, "plums")
    drift = theirs.drift(datetime(2026, 1, 25, tzinfo=UTC))
    theirs.emit(drift)
    # Nothing was served: the retraining refuses, and what it says is in its own ledger alone.
    assert theirs.answer(drift).kind == "retrain.refused"
    assert retrainings(ours, "plums") == before
    assert retrainings(theirs, "pears")
    assert ours.project.ledger.get(drift.id) is None


def test_each_status_tells_of_its_own(both: tuple[Orchard, Orchard]) -> None:
    seen = [orchard.mlops("status").out for orchard in both]
    for text, own, other in zip(seen, both, reversed(both), strict=True):
        assert own.project.promoted().record.version in text
        assert other.project.folder.address not in text


def test_flows_that_were_deleted_in_prefect_are_there_again_after_up(pears: tuple[Orchard, Told]) -> None:
    orchard, _ = pears
    runner = psutil.Process(tools_supervisor(orchard.project).pids()["runner"])
    until("runner of some age", lambda: time.time() - runner.create_time() > REGISTERS)
    deleted = orchard.ask("GET", "/deployments/name/monitor/pears")["id"]
    orchard.ask("DELETE", f"/deployments/{deleted}")
    assert not registered(orchard.project)
    up = orchard.mlops("up")
    assert up.code == 0, up.err
    assert "the runner registers them again" in up.err
    assert registered(orchard.project)


@pytest.fixture
def namesake(running: Orchard, tmp_path: Path) -> Orchard:
    """Another project that is called plums as well."""
    project = running.project.folder
    elsewhere = f"PREFECT_API_URL={project.prefect_uri}\nMLFLOW_TRACKING_URI={project.mlflow_uri}\n"
    root = stamped(tmp_path / "plums", extra=elsewhere)
    note = root / "note.txt"
    note.write_text("of another beginning")
    Tree(root).commit_paths(["note.txt"], "Begin otherwise")
    return Orchard(root)


@pytest.mark.parametrize("begin", [up, ensure])
def test_a_second_project_of_one_name_is_refused_before_anything_starts(
    trained: Orchard, namesake: Orchard, begin: Callable[..., object]
) -> None:
    assert Tree(namesake.root).root_commit() != Tree(trained.root).root_commit()
    with pytest.raises(NameTakenError, match=r"Prefect .* has another project called plums") as refused:
        begin(namesake.project, on_progress=lambda _: None)
    assert "data.name" in refused.value.remedy
    assert tools_supervisor(namesake.project).pid() is None


def test_a_second_project_of_one_name_logs_no_run(trained: Orchard, namesake: Orchard) -> None:
    project = trained.project
    registered = project.ledger.entries(ModelRegistered)[0]
    bundle = project.bundle_of(registered)
    run = train._training_run(project, project.folder.root, bundle, registered.record.commit)
    with pytest.raises(NameTakenError, match="MLflow"):
        namesake.project.registry.log_run(run, force=True)


def test_a_clone_is_no_other_project(trained: Orchard, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(trained.root), str(tmp_path / "clone")], check=True)
    assert Tree(tmp_path / "clone").root_commit() == Tree(trained.root).root_commit()


def test_with_servers_of_its_own_a_taken_port_names_its_owner_and_its_setting(
    running: Orchard, tmp_path: Path
) -> None:
    root = stamped(tmp_path / "figs", name="figs")
    taken = running.project.folder.settings.mlflow_port
    (root / ".env").write_text(f"{(root / '.env').read_text()}MLOPS_MLFLOW_PORT={taken}\n")
    with pytest.raises(PortTakenError, match=f"Port {taken} for MLflow is in use by .*pid") as refused:
        up(Orchard(root).project, on_progress=lambda _: None)
    assert "MLOPS_MLFLOW_PORT" in refused.value.remedy


LOGIN = "ada:secret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect that asks for a login."""
    port = free_port()
    home = {"PREFECT_HOME": str(tmp_path_factory.mktemp("guarded")), "PREFECT_SERVER_API_AUTH_STRING": LOGIN}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        command, env={**os.environ, **home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    uri = f"http://127.0.0.1:{port}/api"
    until("Prefect", lambda: get(f"{uri}/health", timeout=2).ok, patience=60)
    yield uri
    server.terminate()
    server.wait(20)


@pytest.fixture
def stranger(guarded: str, tmp_path: Path) -> Orchard:
    """A project whose Prefect is that one; it was not told the login."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    # As an address is often copied: with a slash at its end.
    there = f"PREFECT_API_URL={guarded}/\nMLFLOW_TRACKING_URI={nowhere}\n"
    return Orchard(stamped(tmp_path / "quinces", name="quinces", extra=there))


def of_prefect(orchard: Orchard) -> Any:
    found = examine(find_project(orchard.root), orchard.root / "requirements.lock")
    return next(each for each in found if each.name == "prefect")


def test_a_prefect_that_asks_for_a_login_is_not_taken_for_one_that_knows_nothing(stranger: Orchard) -> None:
    with pytest.raises(MlopsError, match="401") as refused:
        up(stranger.project, on_progress=lambda _: None)
    assert "PREFECT_API_AUTH_STRING" in refused.value.remedy
    assert tools_supervisor(stranger.project).pid() is None
    found = of_prefect(stranger)
    assert (found.state, "credentials required" in found.detail) == ("fail", True)
    assert "PREFECT_API_AUTH_STRING" in found.remedy
    status = stranger.mlops("status")
    assert status.code == 0, status.err
    assert "credentials required" in status.out


def test_with_the_login_its_flows_and_schedules_are_kept_there(stranger: Orchard) -> None:
    env = stranger.root / ".env"
    env.write_text(f"{env.read_text()}PREFECT_API_AUTH_STRING={LOGIN}\n")
    params = stranger.root / "params.yaml"
    params.write_text(f"{params.read_text()}\nschedule:\n  monitor: 6h\n")
    assert of_prefect(stranger).state == "ok"
    assert health(stranger.project, timeout=5)[0].up
    runner = subprocess.Popen(
        [sys.executable, "-m", "mlops.orchestration.runner", str(stranger.root)], stderr=subprocess.PIPE
    )
    try:
        until("flows", lambda: registered(stranger.project) or runner.poll() is not None, patience=60)
        prefect = Deployments(stranger.project.folder)
        until("schedule", lambda: (prefect.of("monitor") or {}).get("schedules"), patience=20)
    finally:
        runner.terminate()
        _, said = runner.communicate(timeout=30)
    assert registered(stranger.project), said.decode()
