from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from mlops.deployment.client import Client
from mlops.errors import DataError, UnavailableError
from tests.tiny import SCHEMA

ANSWERS = {
    "/good/predict": (200, b'{"model_version": "3", "predictions": []}'),
    "/bad/predict": (400, b'{"error": "Row 0 has no field size."}'),
    "/gone/predict": (404, b"404 page not found"),
    "/busy/predict": (503, b'{"error": "shutting down"}'),
    "/proxy/predict": (405, b"<html>Method Not Allowed</html>"),
    "/page/predict": (200, b"<html>Welcome</html>"),
    "/other/predict": (422, b'{"detail": []}'),
    "/list/predict": (200, b"[]"),
    "/bytes/predict": (200, b"\xff\xfe"),
}


SENT: list[bytes] = []


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        SENT.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_answer_is_told_and_a_refusal_keeps_its_words(address: str) -> None:
    with Client(f"{address}/good") as client:
        assert client.predict([]) == {"model_version": "3", "predictions": []}
    with Client(f"{address}/bad") as client, pytest.raises(DataError, match="Row 0 has no field size"):
        client.predict([{}])


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("gone", 404),
        ("busy", 503),
        ("proxy", 405),
        ("page", 200),
        ("other", 422),
        ("list", 200),
        ("bytes", 200),
    ],
)
def test_who_does_not_answer_as_a_model_does_is_away(address: str, who: str, status: int) -> None:
    with Client(f"{address}/{who}") as client, pytest.raises(UnavailableError, match=rf"\(HTTP {status}"):
        client.predict([{}])


@pytest.mark.parametrize(
    ("batch", "most_bytes", "rows"), [(4, 10**6, [4, 4, 2]), (10, 100, [2, 2, 2, 2, 2]), (10, 1, [1] * 10)]
)
def test_a_table_goes_in_requests_of_so_many_rows_and_bytes(
    address: str, batch: int, most_bytes: int, rows: list[int]
) -> None:
    frame = pd.DataFrame({"size": [1.5] * 10, "colour": ["red"] * 10, "plum": ["é1"] * 10})
    SENT.clear()
    with Client(f"{address}/good") as client:
        list(client.predict_frame(frame, SCHEMA, batch=batch, most_bytes=most_bytes))
    assert [len(json.loads(body)["rows"]) for body in SENT] == rows
    assert all(len(body) <= most_bytes for body in SENT) or most_bytes == 1
