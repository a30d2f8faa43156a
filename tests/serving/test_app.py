from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops.errors import BundleError, RowError, UnavailableError
from mlops.model import predictor
from mlops.model.bundle import Bundle
from mlops.prediction_log import reader
from mlops.prediction_log.writer import PredictionLog
from mlops.rows import Columns
from mlops.serving import Service, requests
from mlops.serving.prometheus import Metrics
from mlops.serving.service import Predicted
from mlops.task_types.predictions import Predictions
from tests.patience import until
from tests.serving.conftest import LIMITS, new_service, served
from tests.tiny import ROWS

ROW = {"size": 7, "colour": "red", "plum": "p1"}
NOW = datetime(2013, 7, 5, tzinfo=UTC)


def predict(client: httpx.Client, body: Any) -> Any:
    response = client.post("/predict", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()
    assert set(error) == {"error", "field", "row"}
    return error


def test_the_golden_rows_are_answered_as_in_training(client: httpx.Client, service: Service) -> None:
    answer = predict(client, {"rows": ROWS})
    assert (answer["model_version"], answer["deployment"]) == ("3", "d1")
    for given, golden in zip(answer["predictions"], service.bundle.golden["predictions"], strict=True):
        assert given["prediction"] == golden["prediction"]
        assert given["score"] == pytest.approx(golden["score"], abs=1e-4)


@pytest.mark.parametrize("body", [{"rows": [ROW]}, [ROW], ROW])
def test_rows_come_wrapped_or_alone(client: httpx.Client, body: Any) -> None:
    assert len(predict(client, body)["predictions"]) == 1


def test_a_field_named_rows_does_not_hide_a_row_of_its_own(client: httpx.Client) -> None:
    refused(client.post("/predict", json={**ROW, "rows": 3}), 400)


@pytest.mark.parametrize(
    "body",
    [
        {
            "dataframe_split": {
                "columns": ["size", "colour", "plum"],
                "data": [[7, "red", "p1"], [1, None, 2]],
            }
        },
        {"dataframe_records": [ROW, {"size": 1, "colour": None, "plum": 2}]},
        {"instances": [ROW, {"size": 1, "colour": None, "plum": 2}]},
        {"instances": [[7, "red"], [1, None]]},
        {"inputs": {"size": [7, 1], "colour": ["red", None], "plum": ["p1", "2"]}},
        {"inputs": [[7, "red"], [1, None]], "params": {}},
    ],
)
def test_mlflows_protocol_is_answered_as_plain_rows_are(client: httpx.Client, body: Any) -> None:
    response = client.post(
        "/invocations", json=body, headers={"content-type": "application/json; charset=utf-8"}
    )
    assert response.status_code == 200, response.text
    plain = predict(client, [ROW, {"size": 1, "colour": None}])
    answer = response.json()
    assert answer["predictions"] == [row["prediction"] for row in plain["predictions"]]
    assert answer["model_version"] == "3"
    assert len(set(answer["ids"])) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        [ROW],
        {"instances": [ROW], "inputs": [ROW]},
        {"dataframe_split": [ROW]},
        {"dataframe_split": {"columns": ["size", "colour"], "data": [[7]]}},
        {"dataframe_records": ROW},
        {"inputs": {"size": 7}},
        {"inputs": {"size": [7], "colour": []}},
        {"instances": []},
        {"inputs": {}},
    ],
)
def test_what_is_not_mlflows_protocol_is_refused(client: httpx.Client, body: Any) -> None:
    assert refused(client.post("/invocations", json=body), 400)["error"]


def test_every_answer_is_in_the_log_when_it_arrives(client: httpx.Client, log_folder: Path) -> None:
    row = {**ROW, "extra": "not kept"}
    (answer,) = predict(client, row)["predictions"]
    record = reader.find(log_folder, answer["id"])
    assert record is not None
    assert record.pop("at") > "2020"
    assert record == {
        "id": answer["id"],
        "key": "p1",
        "time": None,
        "deployment": "d1",
        "version": "3",
        "features": {"size": 7, "colour": "red"},
        "prediction": answer["prediction"],
        "score": answer["score"],
    }


def test_an_event_of_a_far_future_is_named_and_not_logged(bundle: Bundle, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "d1")
    service = Service(
        bundle, predictor.load(bundle), log, Metrics(()), deployment="d1", version="3", clock=lambda: NOW
    )
    service.schema = replace(bundle.schema, time="picked")

    def answer(*picked: str) -> Predicted:
        rows = [{**ROW, "picked": each} for each in picked]
        return service.predict(requests.rows(rows, service.schema))

    with pytest.raises(RowError, match="Row 1: picked is 9999-12-31") as raised:
        answer("2013-07-04", "9999-12-31")
    assert (raised.value.row, raised.value.field) == (1, "picked")
    assert reader.ids(tmp_path) == set()
    ids = answer("2013-07-04", "2014-07-01T00:00:00+02:00").ids  # what is yet to be may be asked about
    assert reader.ids(tmp_path) == set(ids)


def test_a_big_request_is_answered_beside_the_loop(client: httpx.Client, log_folder: Path) -> None:
    rows = [{**ROW, "padding": "x" * 1000} for _ in range(LIMITS.rows)]
    answers = predict(client, {"rows": rows})["predictions"]
    assert {answer["id"] for answer in answers} <= reader.ids(log_folder)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"size": "0.3", "colour": "red"}, "size"),
        ({"size": True, "colour": "red"}, "size"),
        ({"size": 1, "colour": 3}, "colour"),
        ({"size": 1}, "colour"),
        ({**ROW, "plum": 1.5}, "plum"),
        ({"size": 1e39, "colour": "red"}, "size"),
        ({"size": -(10**39), "colour": "red"}, "size"),
    ],
)
def test_bad_input_names_row_and_field(client: httpx.Client, row: Any, field: str) -> None:
    error = refused(client.post("/predict", json=[ROW, row]), 400)
    assert (error["field"], error["row"]) == (field, 1)
    assert field in error["error"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_number_json_does_not_have_is_named(client: httpx.Client, value: str, path: str) -> None:
    body = f'{{"{"rows" if path == "/predict" else "instances"}": [{{"size": {value}, "colour": "red"}}]}}'
    error = refused(client.post(path, content=body), 400)
    assert (error["field"], error["row"]) == ("size", 0)


def test_a_field_whose_name_is_no_text_is_named_as_far_as_it_can_be(client: httpx.Client) -> None:
    error = refused(client.post("/predict", content=rb'{"rows": [{"\ud800": NaN}]}'), 400)
    assert error["field"] == r"\ud800"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"rows": []}',
        b"3",
        b"[3]",
        b"null",
        b"\xff",
        b"[" * 5000,
        b'["\\ud800"]',
        b"[NaN]",
    ],
)
def test_what_holds_no_rows_is_refused(client: httpx.Client, body: bytes) -> None:
    assert refused(client.post("/predict", content=body), 400)["error"]


def test_only_json_is_taken(client: httpx.Client) -> None:
    response = client.post("/predict", content=b"size,colour\n7,red", headers={"content-type": "text/csv"})
    assert "application/json" in refused(response, 415)["error"]


def test_unknown_paths_and_methods_are_refused(client: httpx.Client) -> None:
    refused(client.get("/nowhere"), 404)
    response = client.get("/predict")
    refused(response, 405)
    assert response.headers["allow"] == "POST"


def test_too_many_rows_are_refused(client: httpx.Client) -> None:
    assert "51 rows" in refused(client.post("/predict", json=[ROW] * (LIMITS.rows + 1)), 413)["error"]


def test_a_body_over_the_limit_is_refused_by_what_it_announces(client: httpx.Client) -> None:
    refused(client.post("/predict", content=b"x" * (LIMITS.body + 1)), 413)


def test_a_body_over_the_limit_is_refused_while_it_is_read(client: httpx.Client) -> None:
    """It announces no length and would never end."""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(LIMITS.body // 10_000 + 1):
            connection.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_in_chunks_is_read_whole(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for byte in json.dumps(ROW):
            yield byte.encode()

    assert client.post("/predict", content=chunks()).status_code == 200


@pytest.fixture(scope="module")
def hasty(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that waits for no body: on a busy machine one that comes may take as long."""
    service = new_service(bundle, tmp_path_factory.mktemp("log"))
    with served(service, replace(LIMITS, seconds=0.3)) as client:
        yield client


@pytest.mark.parametrize("sent", [b"", b"{"])
def test_a_body_that_does_not_come_is_given_up(hasty: httpx.Client, sent: bytes) -> None:
    with socket.create_connection((hasty.base_url.host, hasty.base_url.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n" + sent)
        said = b"".join(iter(lambda: connection.recv(1000), b""))  # until the service hangs up
    assert said.startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_midway_harms_nobody(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    left = 'mlops_requests_total{path="/predict",status="499"} 1.0'
    until("count of it", lambda: left in client.get("/metrics").text.splitlines(), patience=30)


def test_the_service_says_what_it_serves(client: httpx.Client, service: Service) -> None:
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready", "version": "3"}
    assert client.get("/version").json() == {
        "version": "3",
        "digest": service.bundle.digest,
        "deployment": "d1",
        "compiled": True,
        "why_not_compiled": None,
        "lineage": {"data": "0" * 32},
    }


def test_a_log_that_cannot_be_written_gives_no_answers(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UnavailableError("The prediction log", "/log", remedy="Make space.")

    monkeypatch.setattr(service._log, "write", full)
    monkeypatch.setattr(service._log, "check", full)
    assert "Make space" in refused(client.post("/predict", json=ROW), 503)["error"]
    refused(client.get("/ready"), 503)
    assert client.get("/health").status_code == 200


def test_a_model_that_answers_differently_here_is_not_ready(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved:
        def predict(self, columns: Any) -> Any:
            moved = {**columns, "size": columns["size"] + 1}
            return predictor.predict(Columns.of(moved, columns.schema))

    predictor = service._predictor
    monkeypatch.setattr(service, "_golden_checked", False)
    monkeypatch.setattr(service, "_predictor", Moved())
    with pytest.raises(BundleError):
        service.check()
    assert "Golden row" in refused(client.get("/ready"), 503)["error"]


@pytest.mark.parametrize("value", [7, None])
def test_an_answer_that_is_no_number_is_neither_given_nor_logged(
    client: httpx.Client,
    service: Service,
    log_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: int | None,
) -> None:
    monkeypatch.setattr(service._predictor, "predict", lambda _: Predictions([True, True], [0.5, math.nan]))
    before = reader.ids(log_folder)
    error = refused(client.post("/predict", json=[ROW, {**ROW, "size": value}]), 400)
    assert (error["row"], error["field"]) == (1, None if value else "size")
    assert "not a finite number" in error["error"]
    assert reader.ids(log_folder) == before


def test_a_failure_of_ours_tells_nothing_of_the_inside(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(service._predictor, "predict", fail)
    failed = client.post("/predict", json=ROW)
    assert "secret" not in refused(failed, 500)["error"]
    # The server ends the connection: a client that was not told would lose its next request.
    assert failed.headers["connection"] == "close"


def test_prometheus_is_told_what_happened(client: httpx.Client) -> None:
    def value(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + " "))

    names = {
        'mlops_requests_total{path="/predict",status="200"}': 1,
        'mlops_requests_total{path="/predict",status="400"}': 1,
        'mlops_requests_total{path="other",status="404"}': 1,
        'mlops_request_seconds_count{path="/predict"}': 2,
        "mlops_rows_total": 3,
        'mlops_unseen_categories_total{feature="colour"}': 1,
        'mlops_missing_values_total{feature="size"}': 1,
        'mlops_missing_values_total{feature="colour"}': 1,
    }
    before = {name: value(name) for name in names}
    predict(client, [ROW, {"size": None, "colour": "violet"}, {"size": 1, "colour": None}])
    client.post("/predict", json=[])
    client.get("/a-scanners-guess")
    assert {name: value(name) - before[name] for name in names} == names
