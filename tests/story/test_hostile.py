"""A service under attack: its memory, and whether others are answered."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import psutil
import pytest

from mlops.adapters.processes import process_id
from mlops.adapters.targets.process import ProcessTarget
from mlops.deployment.rollout import Spec, wait_ready
from tests.hostile import ATTACKS, ROW, Memory, attacking
from tests.tiny import tiny_bundle

pytestmark = pytest.mark.story

MOST_MB = 50
SECONDS = 2.0


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_takes_no_memory_and_no_answer_from_others(name: str, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    target = ProcessTarget(tmp_path / "home")
    serving = target.start(Spec("d1", "1", bundle.folder, bundle.digest, tmp_path / "log"))
    try:
        wait_ready(target, serving)
        process = process_id.find(serving.ref)
        assert isinstance(process, psutil.Process)
        with httpx.Client(base_url=serving.address, trust_env=False, timeout=60) as client:
            for _ in range(500):
                client.post("/predict", json=ROW).raise_for_status()
            quiet = process.memory_info().rss / 1e6
            answered = 0
            port = int(serving.address.rpartition(":")[2])
            with Memory(process) as memory, attacking(port, name):
                until = time.monotonic() + SECONDS
                while time.monotonic() < until:
                    client.post("/predict", json=ROW).raise_for_status()
                    answered += 1
        assert process.is_running()
        assert answered > 0
        assert memory.peak - quiet <= MOST_MB, f"{memory.peak - quiet:.0f} MB over {quiet:.0f}"
    finally:
        target.stop(serving, drain=0)
