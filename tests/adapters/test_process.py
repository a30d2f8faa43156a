"""Services as processes: which of them are ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from mlops.adapters.process import ProcessTarget
from mlops.deployment import Serving


def told(home: Path, ref: str) -> Serving:
    serving = Serving("one", "1", "d" * 64, "process", "http://127.0.0.1:9", ref)
    (home / "services").mkdir(parents=True)
    (home / "services" / "one.json").write_text(json.dumps(asdict(serving)))
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
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", stubborn],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(tmp_path / "said"), os.O_WRONLY | os.O_CREAT, 0o600)],
    )
    while not (tmp_path / "said").read_text():
        time.sleep(0.01)
    process = psutil.Process(pid)
    serving = told(tmp_path, f"{pid}@{process.create_time():.2f}")
    target = ProcessTarget(tmp_path)
    assert target.running() == [serving]
    target.stop(serving, drain=0.2)
    assert not process.is_running()
    assert target.running() == []


def test_a_project_that_served_nothing_runs_nothing(tmp_path: Path) -> None:
    target = ProcessTarget(tmp_path)
    assert target.running() == []
    assert target.logs(Serving("one", "1", "d", "process", "http://127.0.0.1:9", "1@1")) == ""
