"""A swap: beside, ready, over, and only then away with the old."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlops.deployment import rollout
from mlops.deployment.rollout import Serving, Spec, swap, wait_ready
from mlops.errors import UnavailableError


class Threads:
    """A target whose services are threads of the test; those of `broken` never get ready.

    `taken` has, by the id of a service, what answers in its place, which had the port first.
    """

    def __init__(self) -> None:
        self.servers: dict[str, tuple[Serving, ThreadingHTTPServer]] = {}
        self.broken: set[str] = set()
        self.taken: dict[str, bytes] = {}
        self.dying: set[str] = set()
        self.told: list[tuple[str, str]] = []

    def start(self, spec: Spec) -> Serving:
        if spec.id in self.servers:
            return self.servers[spec.id][0]
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._answering(spec.id))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        serving = Serving(spec.id, spec.version, spec.digest, "threads", address, spec.id)
        self.servers[spec.id] = (serving, server)
        self.told.append(("start", spec.id))
        return serving

    def _answering(self, id: str) -> type[BaseHTTPRequestHandler]:
        response = self.taken.get(id, json.dumps({"deployment": id}).encode())
        return _answering(response, ready=id not in self.broken)

    def running(self, *, unhealthy: bool = False) -> list[Serving]:
        return [serving for id, (serving, _) in self.servers.items() if id not in self.dying]

    def stop(self, serving: Serving, *, drain: float) -> None:
        found = self.servers.pop(serving.id, None)
        if found:
            found[1].shutdown()
            found[1].server_close()
            self.told.append(("stop", serving.id))

    def logs(self, serving: Serving) -> str:
        return "the last words"


class Pointer:
    """A gateway that only remembers; refuses the addresses in `refused`."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.refused = False
        self.switches = 0

    def switch(self, serving: Serving) -> None:
        if self.refused:
            raise UnavailableError("The gateway", "here", remedy="")
        self.address = serving.address
        self.switches += 1

    def current(self) -> str | None:
        return self.address


def _answering(response: bytes, *, ready: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not response:
                return  # the connection is closed without a word
            body = response if ready else json.dumps({"error": "golden row 3 differs"}).encode()
            self.send_response(200 if ready else 503)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler


def spec(id: str) -> Spec:
    return Spec(id=id, version=id, bundle=Path("bundle"), digest="d" * 64, log=Path("log"))


@pytest.fixture
def target() -> Iterator[Threads]:
    target = Threads()
    yield target
    for serving, _ in list(target.servers.values()):
        target.stop(serving, drain=0)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Pointer:
    monkeypatch.setattr(rollout, "_IN_FLIGHT", 0.0)
    return Pointer()


def ids(target: Threads) -> list[str]:
    return [serving.id for serving in target.running()]


def test_the_first_one_is_served(target: Threads, gateway: Pointer) -> None:
    serving = swap(target, gateway, spec("a"))
    assert gateway.current() == serving.address
    assert ids(target) == ["a"]


def test_the_last_good_one_stays_warm_and_older_ones_end(target: Threads, gateway: Pointer) -> None:
    for id in "abc":
        swap(target, gateway, spec(id))
    assert ids(target) == ["b", "c"]


def test_nothing_is_kept_where_none_shall_be(target: Threads, gateway: Pointer) -> None:
    for id in "ab":
        swap(target, gateway, spec(id), keep_previous=False)
    assert ids(target) == ["b"]


def test_going_back_to_the_warm_one_starts_nothing(target: Threads, gateway: Pointer) -> None:
    first = swap(target, gateway, spec("a"))
    swap(target, gateway, spec("b"))
    assert swap(target, gateway, spec("a")) == first
    assert gateway.current() == first.address
    assert target.told == [("start", "a"), ("start", "b")]


def test_one_that_never_gets_ready_is_removed_and_the_old_serves(target: Threads, gateway: Pointer) -> None:
    old = swap(target, gateway, spec("a"))
    target.broken.add("b")
    with pytest.raises(UnavailableError, match=r"golden row 3 differs.*the last words"):
        swap(target, gateway, spec("b"), timeout=0.2)
    assert gateway.current() == old.address
    assert ids(target) == ["a"]


def test_one_that_the_gateway_refuses_is_removed_and_the_old_serves(
    target: Threads, gateway: Pointer
) -> None:
    old = swap(target, gateway, spec("a"))
    gateway.refused = True
    with pytest.raises(UnavailableError):
        swap(target, gateway, spec("b"))
    assert gateway.current() == old.address
    assert ids(target) == ["a"]


def test_one_that_dies_is_not_waited_for(target: Threads) -> None:
    target.broken.add("a")
    target.dying.add("a")
    with pytest.raises(UnavailableError, match="it exited"):
        wait_ready(target, target.start(spec("a")), timeout=60)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b'{"deployment": "of another project"}', "of another project answers"),
        (b"hello", "something else"),
        (b"", "Remote end closed"),
    ],
)
def test_what_has_its_port_is_not_taken_for_it(
    target: Threads, gateway: Pointer, response: bytes, reason: str
) -> None:
    old = swap(target, gateway, spec("a"))
    target.taken["b"] = response
    with pytest.raises(UnavailableError, match=reason):
        swap(target, gateway, spec("b"), timeout=0.2)
    assert gateway.current() == old.address


def test_the_same_swap_again_changes_nothing(target: Threads, gateway: Pointer) -> None:
    for id in "ab":
        swap(target, gateway, spec(id))
    swap(target, gateway, spec("b"))
    assert gateway.switches == 2
    assert ids(target) == ["a", "b"]


def test_a_swap_killed_before_its_switch_goes_on(target: Threads, gateway: Pointer) -> None:
    swap(target, gateway, spec("a"))
    started = target.start(spec("b"))
    assert swap(target, gateway, spec("b")) == started
    assert ids(target) == ["a", "b"]


def test_what_serves_is_not_removed_when_it_stumbles(target: Threads, gateway: Pointer) -> None:
    old = swap(target, gateway, spec("a"))
    target.dying.add("a")
    target.servers["a"][1].shutdown()
    target.servers["a"][1].server_close()
    with pytest.raises(UnavailableError):
        swap(target, gateway, spec("a"), timeout=0.2)
    assert gateway.current() == old.address
    assert ("stop", "a") not in target.told
