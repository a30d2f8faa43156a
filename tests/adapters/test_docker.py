"""The container engine: what we build and run there, and what it says no to."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlops.adapters.targets import docker as adapter
from mlops.adapters.targets import docker_network
from mlops.adapters.targets.docker import DockerTarget
from mlops.deployment.image import Image, write_model
from mlops.deployment.rollout import Serving, Spec, wait_ready
from mlops.errors import BundleError, UnavailableError
from mlops.files.ports import free_port
from mlops.model.bundle import Bundle
from tests.patience import until
from tests.tiny import ROWS, tiny_bundle

ROOT = Path(__file__).parents[2]
BASE = os.environ.get("MLOPS_BASE_IMAGE", "python:3.11-slim")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerTarget]:
    target = DockerTarget(
        "adapter",
        home=tmp_path / "home",
        base=BASE,
        lock=ROOT / "requirements.lock",
        template=ROOT / "models" / "Dockerfile",
    )
    yield target
    if adapter.available():
        for serving in target.running():
            target.stop(serving, drain=0)
        # One is left, so that its packages need not be laid in anew the next time.
        target.prune(keep=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "bundle")


def spec_of(bundle: Bundle, tmp_path: Path, id: str = "one") -> Spec:
    return Spec(id=id, version="1", bundle=bundle.folder, digest=bundle.digest, log=tmp_path / "log")


@pytest.mark.engine
def test_an_image_that_exists_is_used(
    target: DockerTarget, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = target.build(bundle.folder, version="1", digest=bundle.digest)
    assert name == f"mlops-adapter:{bundle.digest[:12]}"
    monkeypatch.setattr(adapter, "_build", lambda *_: pytest.fail("built again"))
    assert target.build(bundle.folder, version="1", digest=bundle.digest) == name


@pytest.mark.engine
def test_the_packages_of_one_model_serve_the_next(
    target: DockerTarget, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.build(bundle.folder, version="1", digest=bundle.digest)
    built: list[str] = []
    build = adapter._build
    monkeypatch.setattr(adapter, "_build", lambda *given: (built.append(given[-1]), build(*given)))
    retrained = tiny_bundle(tmp_path / "retrained", strength=float(time.time_ns() % 10**6 + 1))
    name = target.build(retrained.folder, version="2", digest=retrained.digest)
    assert built == [name]


@pytest.mark.engine
def test_a_bundle_that_was_tampered_with_is_not_imaged(target: DockerTarget, tmp_path: Path) -> None:
    # A model of its own: that of another test has its image already.
    bundle = tiny_bundle(tmp_path / "bundle", strength=float(time.time_ns() % 10**6 + 1))
    (bundle.folder / "model.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        target.build(bundle.folder, version="1", digest=bundle.digest)


@pytest.mark.engine
def test_a_container_can_write_to_the_log_and_nowhere_else(
    target: DockerTarget, bundle: Bundle, tmp_path: Path
) -> None:
    serving = target.start(spec_of(bundle, tmp_path))
    with adapter._engine() as engine:
        container = engine.containers.get(serving.ref)
        wait_ready(target, serving)
        places = (
            ("/log/open/one/x", 0),
            ("/log/open/x", 1),
            ("/log/x", 1),
            ("/opt/mlops/bundle/x", 1),
            ("/x", 1),
        )
        for path, code in places:
            opened = container.exec_run(["python3", "-c", f"open({path!r}, 'w')"])
            assert opened.exit_code == code, opened.output
        assert container.exec_run(["id", "-u"]).output.strip() != b"0"
        host = container.attrs["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (2**30, 10**9, 128)
    assert not host["PortBindings"]


@pytest.mark.engine
def test_where_no_network_is_closed_a_port_is_published_on_the_loopback_address_only(
    target: DockerTarget, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_network, "_own_addresses", lambda: {"127.0.0.1"})
    serving = target.start(spec_of(bundle, tmp_path))
    wait_ready(target, serving)
    with adapter._engine() as engine:
        host = engine.containers.get(serving.ref).attrs["HostConfig"]
        assert engine.networks.list(names=[target._network]) == []
    assert host["PortBindings"]["8000/tcp"][0]["HostIp"] == "127.0.0.1"


@pytest.mark.engine
def test_a_container_reaches_nothing_outward_and_keeps_its_address(
    target: DockerTarget, bundle: Bundle, tmp_path: Path
) -> None:
    first, second = (target.start(spec_of(bundle, tmp_path, id)) for id in ("one", "two"))
    assert first.address != second.address
    with adapter._engine(works=True) as engine:
        container = engine.containers.get(first.ref)
        [name] = container.attrs["NetworkSettings"]["Networks"]
        assert engine.networks.get(name).attrs["Internal"] is True
        outward = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
        assert container.exec_run(["python3", "-c", outward]).exit_code != 0
        for each in (first, second):  # the second first would have the other's address
            engine.containers.get(each.ref).stop(timeout=5)
        engine.containers.get(second.ref).start()
        engine.containers.get(first.ref).start()
    assert {serving.address for serving in target.running()} == {first.address, second.address}
    wait_ready(target, first)
    wait_ready(target, second)
    for each in (first, second):
        target.stop(each, drain=0)
    with adapter._engine() as engine:
        assert engine.networks.list(names=[name]) == []


def test_a_link_in_the_log_gives_nothing_of_the_machine_away(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, spec = tmp_path / "machine", spec_of(bundle, tmp_path)
    machine.mkdir()
    own = spec.log / "open" / spec.id
    (own / "within").mkdir(parents=True)
    (own / "link").symlink_to(machine)
    given: set[int] = set()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *_: given.add(Path(path).stat().st_ino))
    monkeypatch.setattr(os, "fchown", lambda file, *_: given.add(os.fstat(file).st_ino))
    adapter._writer(spec)
    assert given == {own.stat().st_ino}
    other = spec_of(bundle, tmp_path, "two")
    (spec.log / "open" / other.id).symlink_to(machine)
    with pytest.raises(OSError, match="Not a directory"):
        adapter._writer(other)
    assert given == {own.stat().st_ino}


@pytest.mark.engine
def test_a_port_taken_meanwhile_costs_another_try_and_leaves_nothing(
    target: DockerTarget, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(docker_network, "internal", lambda *_: None)
        monkeypatch.setattr(docker_network, "free_port", lambda: next(ports))
        serving = target.start(spec_of(bundle, tmp_path))
        assert serving.address != f"http://127.0.0.1:{taken.getsockname()[1]}"
    with adapter._engine() as engine:
        assert len(engine.containers.list(all=True, filters={"label": f"org.mlops.home={target.home}"})) == 1


@pytest.mark.engine
@pytest.mark.story
def test_a_model_that_does_not_compile_is_served_as_it_was_fitted(
    target: DockerTarget, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "fitted", compiled=False)
    serving = target.start(spec_of(bundle, tmp_path))
    wait_ready(target, serving)
    body = json.dumps({"rows": ROWS[:3]}).encode()
    request = urllib.request.Request(f"{serving.address}/predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        predictions = json.load(answer)["predictions"]
    golden = json.loads(bundle.read("golden.json"))["predictions"][:3]
    assert [prediction["score"] for prediction in predictions] == [
        pytest.approx(row["score"]) for row in golden
    ]


@pytest.mark.engine
def test_pruning_keeps_the_newest_and_what_runs(target: DockerTarget, tmp_path: Path) -> None:
    target.project = "pruned"
    for number in range(4):
        bundle = tiny_bundle(tmp_path / str(number), strength=1.0 + number)
        if number == 0:
            target.start(spec_of(bundle, tmp_path))
        else:
            target.build(bundle.folder, version=str(number), digest=bundle.digest)
    shown = target.prune(keep=1, dry=True)
    assert target.prune(keep=1, dry=True) == shown
    assert target.prune(keep=1) == shown
    assert len(shown) == 2
    with adapter._engine() as engine:
        images = engine.images.list(filters={"label": "org.mlops.project=pruned"})
        assert sorted(image.labels["org.mlops.version"] for image in images) == ["1", "3"]
        for image in images:
            assert engine.images.get(image.labels["org.mlops.dependencies"])
    target.stop(target.running()[0], drain=0)
    target.prune(keep=0)
    with adapter._engine() as engine:
        assert engine.images.list(filters={"label": "org.mlops.project=pruned"}) == []


@pytest.mark.engine
def test_a_container_that_a_person_runs_is_not_ours(target: DockerTarget, bundle: Bundle) -> None:
    name = target.build(bundle.folder, version="1", digest=bundle.digest)
    with adapter._engine() as engine:
        theirs = engine.containers.run(name, ["-c", "pass"], entrypoint="python3", detach=True)
        theirs.wait()
        try:
            assert target.running() == []
            target.prune(keep=10)
            theirs.reload()
        finally:
            theirs.remove(force=True)


@pytest.mark.engine
def test_a_written_context_builds_by_itself(target: DockerTarget, bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    with adapter._engine() as engine:
        image = Image(
            project="adapter",
            version="1",
            digest=bundle.digest,
            bundle=bundle.folder,
            base=BASE,
            base_id=adapter._base_id(engine, BASE),
            lock=target.lock,
            template=target.template.read_text(),
        )
        write_model(folder, image, interpreter=target._interpreter(engine))
        built, _ = engine.images.build(path=str(folder), rm=True, forcerm=True)
        assert built.labels["org.mlops.digest"] == bundle.digest
        said = engine.containers.run(
            built, ["-c", "import mlops.serving.app; print('fine')"], entrypoint="python3", remove=True
        )
        engine.images.remove(built.id, force=True)
    assert said.strip() == b"fine"


@pytest.mark.engine
def test_a_base_that_cannot_be_had_names_its_setting(target: DockerTarget, bundle: Bundle) -> None:
    target.base = "localhost:1/no-such-base:1"
    with pytest.raises(UnavailableError, match="MLOPS_BASE_IMAGE"):
        target.build(bundle.folder, version="1", digest=bundle.digest)


def test_an_engine_that_is_away_is_told_at_once(
    target: DockerTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    began = time.monotonic()
    assert not adapter.available()
    with pytest.raises(UnavailableError, match=r"deploy\.target"):
        target.running()
    assert time.monotonic() - began < 15


def test_an_engine_that_hangs_is_given_up(target: DockerTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{hanging.getsockname()[1]}")
        began = time.monotonic()
        assert not adapter.available()
        assert time.monotonic() - began < 20


class Ailing(BaseHTTPRequestHandler):
    """An engine that says its version, and then nothing more; asked to build, it dies as it answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            body = b'{"ApiVersion": "1.44"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.server.let_go.wait(20)
            self.close_connection = True

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b'ff\r\n{"stream": "Step 1')
        self.close_connection = True


class Engine(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ailing)
        self.let_go = threading.Event()


@pytest.fixture
def ailing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with Engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.server_port}")
        thread = threading.Thread(target=engine.serve_forever)
        thread.start()
        yield engine
        engine.let_go.set()
        engine.shutdown()
        thread.join()


def test_an_engine_that_hangs_after_its_first_answer_is_given_up(
    target: DockerTarget, ailing: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_ANSWER_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match="timed out"):
        target.running()


def test_an_engine_that_dies_as_it_builds_is_away(ailing: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(UnavailableError), adapter._engine(works=True) as engine:
        adapter._build(engine, tmp_path, "never:1")


@pytest.mark.engine
def test_a_service_is_replaced_where_its_bundle_is_another(
    target: DockerTarget, bundle: Bundle, tmp_path: Path
) -> None:
    first = target.start(spec_of(bundle, tmp_path))
    other = tiny_bundle(tmp_path / "other", strength=0.1)
    spec = dataclasses.replace(spec_of(other, tmp_path), version="2")
    second = target.start(spec)
    assert second.ref != first.ref
    assert target.running() == [second]


@pytest.mark.engine
def test_what_keeps_ending_or_was_paused_does_not_run_and_is_stopped_all_the_same(
    target: DockerTarget, bundle: Bundle, tmp_path: Path
) -> None:
    with adapter._engine() as engine:
        for id, program in (("ends", "raise SystemExit(1)"), ("paused", "import time; time.sleep(600)")):
            every = target._containers(engine, "running", "restarting")
            reached = docker_network.reach(engine, target._network, {}, every)
            options = target._options(spec_of(bundle, tmp_path, id)) | reached
            made = engine.containers.create(BASE, ["-c", program], entrypoint="python3", **options)
            made.start()
        made.pause()

        def neither_runs() -> list[Serving]:
            seen = target.running(unhealthy=True)
            return seen if len(seen) == 2 and not target.running() else []

        # The engine waits longer each time before it starts one again.
        seen = until("moment when neither runs", neither_runs, patience=20, pause=0.02)
        ailing = {serving.id: serving for serving in seen}
        assert set(ailing) == {"ends", "paused"}
        for serving in ailing.values():
            target.stop(serving, drain=0)
        assert engine.containers.list(all=True, filters={"label": f"org.mlops.home={target.home}"}) == []
