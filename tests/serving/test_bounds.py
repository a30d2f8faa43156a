"""What a client may not do to a service: take its memory, its connections or its time."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import RowError
from mlops.model.bundle import Bundle
from mlops.serving import requests
from mlops.serving.limits import Limits
from mlops.serving.requests import TooLargeError, check_shape
from tests.patience import until
from tests.serving.conftest import LIMITS, new_service, served
from tests.tiny import SCHEMA

ROW = {"size": 7, "colour": "red", "plum": "p1"}
POST = b"POST /predict HTTP/1.1\r\nhost: x\r\n"
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that waits for no head."""
    service = new_service(bundle, tmp_path_factory.mktemp("log"))
    with served(service, replace(LIMITS, head_seconds=0.1)) as client:
        yield client


@pytest.fixture
def bounded(bundle: Bundle, tmp_path: Path) -> Callable[..., AbstractContextManager[httpx.Client]]:
    """Serve within limits of one's own."""

    @contextmanager
    def serve(**limits: Any) -> Iterator[httpx.Client]:
        with served(new_service(bundle, tmp_path / "log"), replace(LIMITS, **limits)) as client:
            yield client

    return serve


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=60)


def whole(connection: socket.socket) -> bytes:
    """Return all that comes until the service ends the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def error(response: bytes) -> tuple[int, str]:
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    content = json.loads(body)
    assert set(content) == {"error", "field", "row"}
    return int(head.split()[1]), content["error"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "GZIP"])
def test_a_compressed_body_is_refused(client: httpx.Client, encoding: str) -> None:
    body = gzip.compress(json.dumps(ROW).encode())
    refused = client.post("/predict", content=body, headers={"content-encoding": encoding})
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "identity"
    assert "not compressed" in refused.json()["error"]


def test_a_body_that_says_it_is_not_compressed_is_read(client: httpx.Client) -> None:
    sent = client.post("/predict", json=ROW, headers={"content-encoding": "identity"})
    assert sent.status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nx: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 101 + b"\r\n",
        b"GET /health HTTP/1.1\r\nx: " + b"y" * 40_000,
        b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 101,
    ],
)
def test_a_head_that_is_too_long_is_refused(client: httpx.Client, head: bytes) -> None:
    with connect(client) as connection:
        connection.sendall(head)
        response = whole(connection)
    if head.startswith(b"GET"):
        assert error(response)[0] == 431
    assert client.get("/health").status_code == 200


def test_a_head_in_many_parts_is_counted_as_one(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        for _ in range(40):
            connection.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        assert error(whole(connection))[0] == 431


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nx: "])
def test_a_head_that_does_not_come_is_given_up(hasty: httpx.Client, sent: bytes) -> None:
    with connect(hasty) as connection:
        connection.sendall(sent)
        assert error(whole(connection))[0] == 408


@pytest.mark.parametrize("sent", [b"\r\n", b"POST "])
def test_a_second_head_must_come_as_soon(hasty: httpx.Client, sent: bytes) -> None:
    with connect(hasty) as connection:
        connection.sendall(GET)
        until("answer", lambda: b"alive" in connection.recv(65536, socket.MSG_PEEK))
        connection.recv(65536)
        connection.sendall(sent)
        assert error(whole(connection))[0] == 408


def test_what_is_not_http_is_refused_in_the_services_own_form(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        assert error(whole(connection)) == (400, "This is not HTTP.")


def test_requests_on_one_connection_are_answered_in_order_but_not_without_end(bounded: Any) -> None:
    with bounded(pipelined=3) as client, connect(client) as connection:
        connection.sendall(GET * 3)
        until("three answers", lambda: connection.recv(65536, socket.MSG_PEEK).count(b"alive") == 3)
        connection.recv(65536)
        connection.sendall(GET * 1000)
        assert whole(connection).count(b"alive") <= 4


def test_the_connection_that_waits_longest_makes_way(bounded: Any) -> None:
    with bounded(connections=3) as client, ExitStack() as stack:
        idle = [stack.enter_context(connect(client)) for _ in range(3)]

        def served_all_the_same() -> bool:
            try:
                return client.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        until("answer beside three that say nothing", served_all_the_same, patience=30)
        assert whole(idle[0]) == b""  # it was ended


def test_one_connection_too_many_is_turned_away_where_none_waits(bounded: Any) -> None:
    with bounded(connections=0) as client, connect(client) as connection:
        status, message = error(whole(connection))
    assert (status, message) == (503, "The service has too many connections. Try again.")


def test_a_client_that_sends_a_whole_body_before_it_reads_has_the_refusal(client: httpx.Client) -> None:
    """Ended at once, the connection would be reset, and with it the response lost."""
    connection = HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    connection.request("POST", "/predict", b"x" * 20_000_000)
    response = connection.getresponse()
    assert (response.status, response.getheader("connection")) == (413, "close")
    assert "limit of 100000 bytes" in json.load(response)["error"]
    connection.close()


def send_until_ended(connection: socket.socket, data: bytes) -> None:
    """Send the same again and again; what the service does not end would take a gigabyte."""
    for _ in range(10**9 // len(data)):
        connection.sendall(data)


@pytest.mark.parametrize("path", [b"/predict", b"/nowhere"])
def test_a_body_without_end_ends_with_its_connection(client: httpx.Client, path: bytes) -> None:
    with connect(client) as connection:
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_until_ended(connection, b"2710\r\n" + b" " * 10_000 + b"\r\n")


def test_a_response_that_nobody_reads_is_not_kept(bounded: Any) -> None:
    body = json.dumps([ROW] * 50).encode()
    request = POST + b"content-length: %d\r\n\r\n" % len(body) + body
    with bounded(unread=0, unread_seconds=0.0) as client, connect(client) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_until_ended(connection, request)


def test_bodies_that_are_held_take_no_more_room_than_there_is(bounded: Any) -> None:
    """Each announces 90 kB and keeps back the last byte; another of that size is answered all the same."""
    big = json.dumps({**ROW, "padding": "x" * 90_000}).encode()
    with bounded(body=100_000, contended=0.0) as client, ExitStack() as stack:
        for _ in range(Limits(body=100_000).in_flight // len(big) + 1):
            connection = stack.enter_context(connect(client))
            connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(big) + big[:-1])
        answered = client.post("/predict", content=big)
        assert answered.status_code == 200, answered.text


def test_without_room_for_a_body_its_client_is_to_try_again(bounded: Any) -> None:
    big = json.dumps({**ROW, "padding": "x" * 90_000}).encode()
    with bounded(waiting=0, contended=1000.0) as client, ExitStack() as stack:
        for _ in range(Limits(body=100_000).in_flight // len(big)):
            connection = stack.enter_context(connect(client))
            connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(big) + big[:-1])

        def turned_away() -> httpx.Response | None:
            response = client.post("/predict", content=big)
            return None if response.status_code == 200 else response

        refused = until("refusal", turned_away)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert client.post("/predict", json=ROW).status_code == 200  # a small one takes no room


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"{}"] * 33_000) + b"]",
        b"[" * 90_000,
        b'{"rows": [' + b",".join([b"1.5"] * 24_000) + b"]}",
        b'{"size": 1, "colour": "' + b'\\\\", "a": ' + b'{"a": ' * 16_000,
    ],
)
def test_a_body_of_too_many_values_is_refused_before_it_is_read(
    client: httpx.Client, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "read", lambda *_: pytest.fail("parsed"))
    refused = client.post("/predict", content=body)
    assert refused.status_code == 413, refused.text
    assert "too many to be read" in refused.json()["error"]


def test_what_a_text_holds_counts_for_nothing(client: httpx.Client) -> None:
    """Neither brackets nor commas within quotes, whatever is escaped, and wherever a slice ends."""
    for text in ("{[,]}" * 10_000, '\\"{' * 10_000, "\\" * 33_333 + "{," * 5_000):
        sent = client.post("/predict", json={**ROW, "note": text})
        assert sent.status_code == 200, sent.text


def values(value: Any) -> tuple[int, int]:
    """Return how many objects and lists, and how many values, there are."""
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    counts = [values(each) for each in inner]
    containers = isinstance(value, dict | list)
    return containers + sum(a for a, _ in counts), 1 + sum(b for _, b in counts)


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\{[,:é', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\{,', max_size=3), inner, max_size=4)
    ),
    max_leaves=40,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.integers(1, 7))
def test_values_are_never_counted_as_fewer_than_there_are(value: Any, slice_bytes: int) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    containers, least = values(value)
    kept = requests._SLICE_BYTES
    requests._SLICE_BYTES = slice_bytes
    try:
        counts = [requests._count(outside) for outside in requests._outside_texts(body)]
    finally:
        requests._SLICE_BYTES = kept
    assert sum(each for each, _ in counts) == containers
    assert sum(each for _, each in counts) >= least


def test_a_request_of_as_many_rows_as_are_allowed_has_no_more_values_than_are_allowed() -> None:
    rows = [{**ROW, **{f"further{i}": i for i in range(10)}, "nested": [1]}] * 10_000
    body = json.dumps({"rows": rows}).encode()
    check_shape(body, most_rows=10_000, fields=2)
    with pytest.raises(TooLargeError):
        check_shape(body, most_rows=4_000, fields=2)


@pytest.mark.parametrize("field", ["plum", "colour"])
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_name_longer_than_any_is_refused(client: httpx.Client, field: str, path: str) -> None:
    for length, status in ((1024, 200), (1025, 400)):
        rows = [ROW, {**ROW, field: "é" * length}]
        response = client.post(path, json={"rows" if path == "/predict" else "instances": rows})
        assert response.status_code == status, response.text
    refused = response.json()
    assert (refused["field"], refused["row"]) == (field, 1)
    assert "1025 characters; the limit is 1024" in refused["error"]


def test_a_category_as_long_as_one_that_training_met_is_taken() -> None:
    row = {"size": 1, "colour": "x" * 2000}
    requests.rows([row], SCHEMA, {"colour": 2000})
    with pytest.raises(RowError, match="the limit is 1024"):
        requests.rows([row], SCHEMA)


def test_refusals_are_counted(bounded: Any) -> None:
    with bounded() as client, connect(client) as connection:
        connection.sendall(b"x: " * 20_000)
        whole(connection)
        assert 'mlops_requests_total{path="other",status="400"} 1.0' in client.get("/metrics").text
