"""A service under attack: its memory, and whether others are answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Service:
    """A service that has answered for a while, and its memory then, in MB."""

    process: psutil.Process
    address: str
    quiet: float

    def ask(self, client: httpx.Client) -> None:
        client.post("/predict", json=ROW).raise_for_status()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    bundle = tiny_bundle(folder / "bundle")
    target = ProcessTarget(folder / "home")
    serving = target.start(Spec("d1", "1", bundle.folder, bundle.digest, folder / "log"))
    try:
        wait_ready(target, serving)
        process = process_id.find(serving.ref)
        assert isinstance(process, psutil.Process)
        with httpx.Client(base_url=serving.address, trust_env=False, timeout=60) as client:
            for _ in range(500):
                client.post("/predict", json=ROW).raise_for_status()
        yield Service(process, serving.address, process.memory_info().rss / 1e6)
    finally:
        target.stop(serving, drain=0)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_takes_no_memory_and_no_answer_from_others(service: Service, name: str) -> None:
    """One service for all: what an attack left behind would count for the next ones, too."""
    answered, port = 0, int(service.address.rpartition(":")[2])
    with (
        httpx.Client(base_url=service.address, trust_env=False, timeout=60) as client,
        Memory(service.process) as memory,
        attacking(port, name),
    ):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            service.ask(client)
            answered += 1
    assert service.process.is_running()
    assert answered > 0
    assert memory.peak - service.quiet <= MOST_MB, f"{memory.peak - service.quiet:.0f} MB over quiet"
