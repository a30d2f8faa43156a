"""What every target owes: a service that starts, answers, dies and ends as told."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from mlops.adapters.targets.process import ProcessTarget
from mlops.adapters.traefik import TraefikGateway
from mlops.deployment.rollout import Serving, Spec, Target, TargetContext, swap, wait_ready
from mlops.errors import ConfigError, UnavailableError
from mlops.files.ports import free_port
from mlops.model import bundle as bundles
from mlops.project import target_choice
from tests.outside import TARGET
from tests.patience import until
from tests.tiny import ROWS, tiny_bundle

ROOT = Path(__file__).parents[2]


def docker_target(home: Path) -> Target:
    from mlops.adapters.targets.docker import DockerTarget

    return DockerTarget(
        "contract",
        home=home,
        base=os.environ.get("MLOPS_BASE_IMAGE", "python:3.11-slim"),
        lock=ROOT / "requirements.lock",
        template=ROOT / "models" / "Dockerfile",
    )


def bare_target(home: Path) -> Target:
    home.mkdir(parents=True, exist_ok=True)
    (home / "bare.py").write_text(TARGET)
    context = TargetContext("contract", root=home, home=home, base_image="")
    return target_choice.choose("bare.py:Bare", context)


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ("def __init__(self): ...", "takes a TargetContext"),
        ("def __init__(self, context): ...", "what Target lists"),
    ],
)
def test_a_class_that_is_no_target_is_refused_by_its_setting(tmp_path: Path, body: str, allowed: str) -> None:
    (tmp_path / "wrong.py").write_text(f"class Wrong:\n    {body}\n")
    context = TargetContext("contract", root=tmp_path, home=tmp_path, base_image="")
    with pytest.raises(ConfigError, match=rf"deploy\.target: got 'wrong\.py:Wrong'.*{allowed}"):
        target_choice.choose("wrong.py:Wrong", context)


TARGETS = [
    pytest.param(bare_target, id="a class of the project"),
    pytest.param(ProcessTarget, id="process"),
    pytest.param(docker_target, id="docker", marks=pytest.mark.engine),
]


@pytest.fixture(scope="module", autouse=True)
def _no_litter() -> Iterator[None]:
    """Leave one image behind, so that its packages need not be laid in anew the next time."""
    yield
    from mlops.adapters.targets import docker

    if docker.available():
        docker_target(Path()).prune(keep=1)  # type: ignore[attr-defined]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    make: Callable[[Path], Target] = request.param
    target = make(tmp_path / "home")
    yield target
    for serving in target.running():
        target.stop(serving, drain=0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("model") / "bundle").folder


@pytest.fixture
def spec(bundle: Path, tmp_path: Path) -> Spec:
    return Spec("one", version="1", bundle=bundle, digest=bundles.open(bundle).digest, log=tmp_path / "log")


def ask(address: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/predict", json.dumps({"rows": rows}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def logged(folder: Path) -> list[str]:
    lines = [line for file in folder.rglob("*.jsonl") for line in file.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]


def pid_of(serving: Serving) -> int:
    if serving.target in ("process", "bare"):
        return int(serving.ref.partition("@")[0])
    from mlops.adapters.targets.docker import _engine

    with _engine() as engine:
        return int(engine.containers.get(serving.ref).attrs["State"]["Pid"])


def test_a_started_service_gets_ready_and_answers_and_logs(target: Target, spec: Spec) -> None:
    serving = target.start(spec)
    wait_ready(target, serving)
    answer = ask(serving.address, ROWS[:2])
    assert (answer["model_version"], answer["deployment"]) == ("1", "one")
    assert logged(spec.log) == [prediction["id"] for prediction in answer["predictions"]]


def test_a_service_is_told_again_by_whoever_asks(target: Target, spec: Spec) -> None:
    serving = target.start(spec)
    assert target.running() == [serving]
    assert target.start(spec) == serving
    assert (serving.id, serving.version, serving.digest) == (spec.id, spec.version, spec.digest)


def test_another_clone_of_the_project_sees_none_of_it(
    target: Target, spec: Spec, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target.start(spec)
    make: Callable[[Path], Target] = request.node.callspec.params["target"]
    assert make(tmp_path / "clone").running() == []


def test_services_are_told_oldest_first(target: Target, spec: Spec) -> None:
    for id in ("z", "a"):
        target.start(dataclasses.replace(spec, id=id))
    assert [serving.id for serving in target.running()] == ["z", "a"]


def test_a_stopped_service_is_gone_and_may_be_stopped_again(target: Target, spec: Spec) -> None:
    serving = target.start(spec)
    wait_ready(target, serving)
    for _ in range(2):
        target.stop(serving, drain=5)
    assert target.running() == []
    with pytest.raises(urllib.error.URLError):
        ask(serving.address, ROWS[:1])


def test_a_service_stops_within_its_drain_not_after_it(target: Target, spec: Spec) -> None:
    serving = target.start(spec)
    wait_ready(target, serving)
    began = time.monotonic()
    target.stop(serving, drain=30)
    assert time.monotonic() - began < 15


def test_a_killed_service_is_not_told_or_is_back_at_its_address(target: Target, spec: Spec) -> None:
    serving = target.start(spec)
    wait_ready(target, serving)
    pid = pid_of(serving)
    os.kill(pid, signal.SIGKILL)
    if serving.target == "docker":
        until(
            "restart", lambda: target.running() == [serving] and pid_of(serving) not in (0, pid), patience=20
        )
        wait_ready(target, serving)
        assert ask(serving.address, ROWS[:1])["deployment"] == "one"
    else:
        until("end", lambda: target.running() == [], patience=20)


def test_one_that_cannot_serve_says_why(target: Target, spec: Spec, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    golden = json.loads((spec.bundle / "golden.json").read_text())
    golden["predictions"][0]["score"] = 0.123
    files = {file.name: file.read_bytes() for file in spec.bundle.iterdir() if file.name != bundles.MANIFEST}
    wrong = bundles.write(broken, {**files, "golden.json": bundles.to_json(golden)})
    serving = target.start(dataclasses.replace(spec, bundle=broken, digest=wrong.digest))

    def says_why() -> bool:
        with pytest.raises(UnavailableError) as told:
            wait_ready(target, serving, timeout=0)
        return "golden" in str(told.value).lower()

    until("reason", says_why, patience=60)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[TraefikGateway]:
    gateway = TraefikGateway(tmp_path / "gateway", port=free_port(), api_port=free_port())
    process = subprocess.Popen(gateway.command())
    until("gateway", lambda: answers(gateway), patience=20)
    yield gateway
    process.terminate()
    process.wait()


def answers(gateway: TraefikGateway) -> bool:
    try:
        gateway.current()
    except UnavailableError:
        return False
    return True


class Client(threading.Thread):
    """Asks the gateway over one kept-alive connection until told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.enough = threading.Event()
        self.versions: list[str] = []
        self.failures: list[str] = []

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = json.dumps({"rows": ROWS[:1]})
        while not self.enough.is_set():
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == 200:
                    self.versions.append(json.loads(content)["model_version"])
                else:
                    self.failures.append(f"{answer.status} {content[:200]!r}")
            except OSError as error:
                self.failures.append(repr(error))
                connection.close()
            time.sleep(0.001)  # so many requests a second, and not as many as there can be
        connection.close()


def test_swaps_under_load_fail_no_request(target: Target, gateway: TraefikGateway, spec: Spec) -> None:
    swap(target, gateway, spec)
    clients = [Client(gateway.port) for _ in range(4)]
    for client in clients:
        client.start()
    for number in ("2", "3", "4"):
        swap(target, gateway, dataclasses.replace(spec, id=f"n{number}", version=number), keep_previous=False)
        until("answer by it", lambda: all(number in c.versions for c in clients), patience=20)  # noqa: B023  # asked at once
    for client in clients:
        client.enough.set()
        client.join()
    assert [failure for client in clients for failure in client.failures] == []
    for client in clients:
        assert sorted(set(client.versions)) == ["1", "2", "3", "4"]
    assert [serving.id for serving in target.running()] == ["n4"]
    asked = sum(len(client.versions) for client in clients)
    assert len(set(logged(spec.log))) == asked
