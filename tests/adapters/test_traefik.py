"""The gateway: acknowledged, or as before."""

from __future__ import annotations

import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlops.adapters import traefik
from mlops.adapters.traefik import TraefikGateway
from mlops.deployment.rollout import Serving
from mlops.errors import UnavailableError
from mlops.files.ports import free_port
from tests.patience import until


class Answering(ThreadingHTTPServer):
    """Answers every GET with one text."""

    def __init__(self, text: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def serving(self) -> Serving:
        return Serving("one", "1", "d", "process", f"http://127.0.0.1:{self.server_port}", "1@1")


@pytest.fixture
def answering() -> Iterator[Callable[[str], Answering]]:
    servers: list[Answering] = []

    def make(text: str) -> Answering:
        servers.append(Answering(text))
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def gateway(tmp_path: Path) -> TraefikGateway:
    return TraefikGateway(tmp_path / "gateway", port=free_port(), api_port=free_port())


def run(gateway: TraefikGateway) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(gateway.command())

    def answers() -> bool:
        try:
            gateway.current()
        except UnavailableError:
            return False
        return True

    try:
        until("gateway that answers", answers, patience=20)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def text(gateway: TraefikGateway) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_switch_counts_once_it_returns_and_outlives_a_restart(
    gateway: TraefikGateway, answering: Callable[[str], Answering]
) -> None:
    process = run(gateway)
    try:
        assert gateway.current() is None
        for name in ("first", "second", "third"):
            server = answering(name)
            gateway.switch(server.serving)
            assert text(gateway) == name
    finally:
        process.terminate()
        process.wait()
    process = run(gateway)
    try:
        until("switch that outlived it", gateway.current, patience=5)
        assert text(gateway) == "third"
    finally:
        process.terminate()
        process.wait()


def test_a_switch_that_is_not_taken_is_taken_back(
    tmp_path: Path, answering: Callable[[str], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traefik, "_SWITCH_TIMEOUT", 0.1)
    deaf = answering('{"loadBalancer": {"servers": [{"url": "http://127.0.0.1:1"}]}}')
    gateway = TraefikGateway(tmp_path / "gateway", port=free_port(), api_port=deaf.server_port)
    gateway.command()
    with pytest.raises(UnavailableError, match="no switch to"):
        gateway.switch(answering("new").serving)
    assert "http://127.0.0.1:1\n" in (tmp_path / "gateway" / "route.yaml").read_text()


def test_a_gateway_that_is_away_is_told(gateway: TraefikGateway) -> None:
    with pytest.raises(UnavailableError, match="mlops up"):
        gateway.current()
