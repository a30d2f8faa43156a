"""Short questions to real servers: what is shown to them, and which way they go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from mlops.files.ports import free_port
from mlops.net.credentials import Access
from mlops.net.request import get

BASIC = "Basic YWRhOnNlY3JldA=="  # ada:secret


class Guarded(BaseHTTPRequestHandler):
    """Lets in who has the login; sends some on to where nobody should show one."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.seen.append((self.path, login))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/other")
        else:
            self.send_response(200 if login == BASIC else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def guarded() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    Guarded.seen.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_asks_for_a_login_says_so_until_it_is_given(guarded: str) -> None:
    refused = get(guarded, timeout=5)
    assert (refused.ok, refused.unauthorized, refused.problem) == (
        False,
        True,
        "HTTP 401, credentials required",
    )
    assert get(guarded, timeout=5, access=Access(BASIC)).ok


def test_a_login_is_not_shown_to_whom_the_server_sends_us_on(guarded: str) -> None:
    get(f"{guarded}/moved", timeout=5, access=Access(BASIC))
    assert Guarded.seen == [("/moved", BASIC), ("/other", None)]


def test_a_proxy_of_the_environment_is_for_the_world_outside_alone(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.net import request

    request._opener.cache_clear()
    monkeypatch.setenv("http_proxy", guarded)
    outside = "http://mlops.example.org/experiments"
    assert get(outside, timeout=5, access=Access(BASIC)).ok
    assert Guarded.seen == [(outside, BASIC)]
    assert get(f"http://127.0.0.1:{free_port()}", timeout=5).problem == "connection refused"
    request._opener.cache_clear()


def test_what_is_no_address_and_no_certificate_is_told_and_not_raised() -> None:
    assert get("nonsense").problem
    assert "No such file" in get("https://mlops.example.org", access=Access(ca_bundle="/nowhere")).problem
