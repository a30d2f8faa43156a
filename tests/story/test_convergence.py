"""Killed anywhere, the same command again converges: every verb at every step, every part, the machine."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from mlflow import MlflowClient

from mlops.ledger.records import DataVersioned, DeploymentServed, GateJudged, ModelPromoted
from mlops.project import deploy
from mlops.project.health import serving_supervisor, tools_supervisor
from mlops.project.run_marks import marks
from tests.flows.conftest import orphans
from tests.flows.orchard import HISTORY, Orchard, family, plums, stamped
from tests.patience import until

pytestmark = [pytest.mark.story, pytest.mark.timeout(600)]

STEPS = ("prepare", "train", "evaluate", "log the run", "compare", "promote")
"""What a training says as each of its steps ends."""
FILES = ("dvc.lock", "holdout.parquet", "manifest.json", "metrics.json", "roc.csv")
"""What a training writes; it is killed as it opens each, which by then is empty."""
RANDOM_KILLS = 3
BURIED = 150
"""Seconds within which the reconciler ends what was killed: it waits a minute where no mark was left."""


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchard]:
    """A project whose parts two people started in the same moment."""
    root = stamped(
        tmp_path_factory.mktemp("story") / "plums", extra="MLOPS_RECONCILE_EVERY=1\nMLOPS_RECONCILE_GRACE=5\n"
    )
    orchard = Orchard(root)
    try:
        both = [verb(orchard, "up") for _ in range(2)]
        for each in both:
            _, told = each.communicate(timeout=180)
            assert each.returncode == 0, told
        yield orchard
    finally:
        orchard.hold.unlink(missing_ok=True)
        down = orchard.mlops("down", "--serving")
    assert down.code == 0, down.err
    assert orphans(orchard) == []


@pytest.fixture
def served(orchard: Orchard) -> Orchard:
    """The project with a model behind the gateway; as the killed verbs left it, where they ran before."""
    if orchard.project.ledger.last(DeploymentServed) is None:
        for words in (("ingest", str(history(orchard))), ("train",), ("deploy",)):
            done(orchard, *words)
    return orchard


def history(orchard: Orchard) -> Path:
    file = orchard.root / ".mlops" / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(file)
    return file


def verb(orchard: Orchard, *words: str, prelude: str = "") -> subprocess.Popen[str]:
    program = f"{prelude}import sys; from mlops.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "--project", str(orchard.root), *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def killed_after(orchard: Orchard, step: str, *words: str) -> None:
    """Run a verb and kill it as soon as it tells of a step; one that has none of it ends by itself."""
    process = verb(orchard, *words)
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith(step):
            process.kill()
    process.wait()
    process.stderr.close()


def killed_as_it_writes(orchard: Orchard, name: str, *words: str) -> None:
    """Run a verb and kill it as it opens a file to write it anew."""
    prelude = (
        "import os, signal, sys\n"
        "def opened(event, args):\n"
        f"    if event == 'open' and {name!r} in str(args[0]) and 'w' in str(args[1]):\n"
        "        os.path.isfile(args[0]) and os.truncate(args[0], 0)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(opened)\n"
    )
    process = verb(orchard, *words, prelude=prelude)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, name


def killed_at(orchard: Orchard, seconds: float, *words: str) -> None:
    process = verb(orchard, *words)
    time.sleep(seconds)  # the moment itself is what is tried
    process.kill()
    process.communicate()


def done(orchard: Orchard, *words: str) -> float:
    told = orchard.mlops(*words)
    assert told.code == 0, told.err
    return told.seconds


def output(orchard: Orchard, *command: str) -> str:
    return subprocess.run(command, cwd=orchard.root, capture_output=True, text=True, check=True).stdout


def unfinished(orchard: Orchard) -> list[str]:
    """What Prefect or MLflow still calls running."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}
    flows = orchard.ask("POST", "/flow_runs/filter", wanted)
    client = MlflowClient(orchard.project.folder.mlflow_uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    return [run["name"] for run in flows] + [run.info.run_name for run in runs]


def processes(orchard: Orchard) -> list[psutil.Process]:
    return [psutil.Process(int(line.split()[0])) for line in orphans(orchard)]


def answers(orchard: Orchard) -> bool:
    try:
        said = httpx.get(f"{orchard.project.folder.address}/version", trust_env=False, timeout=2)
        return bool(said.is_success and said.json()["digest"] == orchard.project.promoted().record.digest)
    except httpx.HTTPError:
        return False


def test_two_ups_at_once_start_one_of_each(orchard: Orchard) -> None:
    conf = [str(orchard.root / ".mlops" / "run" / f"{name}.conf") for name in ("serving", "tools")]
    words = [process.cmdline() for process in processes(orchard)]
    assert [sum("supervisor.supervisord" in w and each in w for w in words) for each in conf] == [1, 1]
    before = tools_supervisor(orchard.project).pids() | serving_supervisor(orchard.project).pids()
    done(orchard, "up")
    assert tools_supervisor(orchard.project).pids() | serving_supervisor(orchard.project).pids() == before


def test_verbs_killed_anywhere_end_with_one_of_each(orchard: Orchard) -> None:
    chance = random.Random(7)
    file = str(history(orchard))
    killed_after(orchard, "add the file", "ingest", file)
    took = done(orchard, "ingest", file)
    for step in STEPS:
        killed_after(orchard, step, "train")
    for name in FILES:
        killed_as_it_writes(orchard, name, "train", "--force")
    for _ in range(RANDOM_KILLS):
        killed_at(orchard, chance.uniform(0.3, 1.0) * took, "train", "--force")
    done(orchard, "train")
    for _ in range(RANDOM_KILLS):
        killed_at(orchard, chance.uniform(0.5, 1.2) * took, "deploy")
    done(orchard, "deploy")

    project = orchard.project
    assert len({entry.record.md5 for entry in project.ledger.entries(DataVersioned)}) == 1
    for kind in (ModelPromoted, GateJudged):
        assert len(project.ledger.entries(kind)) == 1, kind
    versions = MlflowClient(project.folder.mlflow_uri).search_model_versions()
    assert len({version.tags["mlops.digest"] for version in versions}) == 1
    [service] = [service for target in project.targets for service in target.running()]
    assert service.digest == project.promoted().record.digest
    assert answers(orchard)
    until("end of what was killed", lambda: not unfinished(orchard), patience=BURIED)
    until("end of its marks", lambda: not [m for m in marks(project.folder.home) if m.is_dead], patience=90)
    assert output(orchard, "git", "status", "--porcelain") == ""
    assert "up to date" in output(orchard, sys.executable, "-m", "dvc", "status")


def test_a_service_that_was_killed_is_deployed_again(served: Orchard) -> None:
    serving = deploy.serving(served.project)
    assert serving is not None
    os.kill(int(serving[1].ref.partition("@")[0]), signal.SIGKILL)
    until("service", lambda: answers(served))


def test_servers_that_were_killed_are_started_again(served: Orchard) -> None:
    before = tools_supervisor(served.project).pids()
    for name in ("prefect", "mlflow"):
        for process in reversed(family(before[name])):
            process.kill()
    done(served, "up")
    assert not set(before.values()) - {before["runner"]} & set(
        tools_supervisor(served.project).pids().values()
    )


def test_a_runner_killed_with_its_retraining_converges(served: Orchard) -> None:
    drift = served.drift(served.season())
    served.hold.touch()
    written = served.hold.with_suffix(".pid")
    written.unlink(missing_ok=True)
    until("fit that waits", lambda: written.exists() and written.read_text())
    for process in reversed(family(tools_supervisor(served.project).pids()["runner"])):
        process.kill()
    served.hold.unlink()
    answer = served.answer(drift)
    assert answer.kind == "retrain.finished", answer.record.sentence
    assert answers(served)
    until("end of what was killed", lambda: not unfinished(served), patience=BURIED)


def test_after_a_reboot_up_brings_all_of_it_back(served: Orchard) -> None:
    ours = processes(served)
    for process in ours:
        process.kill()
    psutil.wait_procs(ours, timeout=10)
    assert orphans(served) == []
    up = served.mlops("up")
    assert up.code == 0, up.err
    assert "serves at" in up.err
    assert answers(served)

    def all_up() -> bool:
        status = served.mlops("status")
        return not ("DOWN" in status.out or "UNREACHABLE" in status.out)

    # It does not wait for a part that is slow to answer.
    until("status with every part up", all_up)
