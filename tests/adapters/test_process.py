"""Services as processes: which of them are ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from mlops.adapters.processes import process_id
from mlops.adapters.targets.process import ProcessTarget
from mlops.deployment.rollout import Serving, Spec
from mlops.files import formats
from tests.patience import until
from tests.tiny import tiny_bundle


def told(home: Path, ref: str) -> Serving:
    serving = Serving("one", "1", "d" * 64, "process", "http://127.0.0.1:9", ref)
    (home / "services").mkdir(parents=True)
    (home / "services" / "one.json").write_text(formats.to_json(asdict(serving), 1))
    return serving


def test_a_pid_that_was_given_out_again_is_neither_told_nor_ended(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    began = psutil.Process(sleeper.pid).create_time()
    serving = told(tmp_path, f"{sleeper.pid}@{began - 5:.2f}")
    target = ProcessTarget(tmp_path)
    target.stop(serving, drain=0)
    assert target.running() == []
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_a_service_that_ignores_the_wish_is_killed_after_its_drain(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    started = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", stubborn],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(tmp_path / "said"), os.O_WRONLY | os.O_CREAT, 0o600)],
    )
    until("word of the service", (tmp_path / "said").read_text)
    process = psutil.Process(started)
    serving = told(tmp_path, f"{started}@{process.create_time():.2f}")
    target = ProcessTarget(tmp_path)
    assert target.running() == [serving]
    target.stop(serving, drain=0.2)
    assert not process.is_running()
    assert target.running() == []


def test_a_service_does_not_hold_what_its_starter_left_open(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    target = ProcessTarget(tmp_path / "home")
    serving = target.start(
        Spec(id="one", version="1", bundle=bundle.folder, digest=bundle.digest, log=tmp_path / "log")
    )
    try:
        os.close(writing)
        os.set_blocking(reading, False)
        assert os.read(reading, 1) == b""  # the end: nobody holds the other side
    finally:
        target.stop(serving, drain=0)
        os.close(reading)


def test_a_project_that_served_nothing_runs_nothing(tmp_path: Path) -> None:
    target = ProcessTarget(tmp_path)
    assert target.running() == []
    assert target.logs(Serving("one", "1", "d", "process", "http://127.0.0.1:9", "1@1")) == ""


def test_what_pruning_would_remove_is_told_and_stays(tmp_path: Path) -> None:
    logs = tmp_path / "logs" / "services"
    logs.mkdir(parents=True)
    for age, name in enumerate(("new", "old", "older")):
        (logs / f"{name}.log").write_text("said")
        os.utime(logs / f"{name}.log", (time.time() - age * 60,) * 2)
    target = ProcessTarget(tmp_path)
    assert target.prune(keep=1, dry=True) == ["log of service old", "log of service older"]
    assert len(list(logs.iterdir())) == 3
    assert target.prune(keep=1) == ["log of service old", "log of service older"]
    assert [log.name for log in logs.iterdir()] == ["new.log"]


def test_a_log_that_grew_long_is_cut_under_the_pen_of_its_service(tmp_path: Path) -> None:
    logs = tmp_path / "logs" / "services"
    logs.mkdir(parents=True)
    (logs / "short.log").write_text("said\n")
    with (logs / "long.log").open("a") as service:
        service.writelines(f"line {number}\n" for number in range(1_000_000))
        service.flush()
        assert ProcessTarget(tmp_path).cut_logs() == 1
        service.write("and on\n")
    lines = (logs / "long.log").read_text().splitlines()
    assert (logs / "long.log").stat().st_size <= 1024**2 + 7
    assert lines[-2:] == ["line 999999", "and on"]
    assert lines[0].startswith("line ")  # none is cut in two
    assert ProcessTarget(tmp_path).cut_logs() == 0
    assert (logs / "short.log").read_text() == "said\n"


def test_a_service_that_nobody_wrote_down_is_ended_by_the_next_start(tmp_path: Path) -> None:
    target = ProcessTarget(tmp_path)
    spec = Spec("one", "1", tmp_path / "bundle", "d" * 64, tmp_path / "predictions")
    first = target.start(spec)
    (tmp_path / "services" / "one.json").unlink()
    second = target.start(spec)
    try:
        assert process_id.find(first.ref) is None
        assert [serving.ref for serving in target.running()] == [second.ref]
    finally:
        target.stop(second, drain=0)


def test_what_a_living_service_started_is_left_to_it(tmp_path: Path) -> None:
    target = ProcessTarget(tmp_path)
    begins = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    service = subprocess.Popen(
        [sys.executable, "-c", begins],
        env=os.environ | {"MLOPS_SERVICES": str((tmp_path / "services").resolve())},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert service.stdout is not None
    child = psutil.Process(int(service.stdout.readline()))
    told(tmp_path, process_id.name(psutil.Process(service.pid)))
    other = target.start(Spec("two", "1", tmp_path / "bundle", "d" * 64, tmp_path / "predictions"))
    try:
        assert child.status() != psutil.STATUS_ZOMBIE
        assert service.poll() is None
    finally:
        for ended in (child, psutil.Process(service.pid)):
            ended.kill()
        service.communicate()
        target.stop(other, drain=0)
