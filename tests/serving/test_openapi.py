from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from mlops.schema import Schema
from mlops.serving import openapi
from mlops.task_types import of_classes
from tests.serving.conftest import LIMITS
from tests.tiny import ROWS

GOOD = {"size": 3.5, "colour": "red", "plum": "p1"}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def fits(value: Any, schema: Any, document: dict[str, Any]) -> bool:
    """Tell whether a value is as a part of the document says; its references are the document's."""
    rules = {"components": document["components"], **schema}
    return jsonschema.Draft202012Validator(rules).is_valid(value)


def body(document: dict[str, Any], path: str) -> dict[str, Any]:
    content: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return content


def answer(document: dict[str, Any], path: str, status: int) -> Any:
    responses = document["paths"][path]["post"]["responses"]
    return responses[str(status)]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        {**GOOD, "size": None, "colour": None, "plum": None},
        {**GOOD, "plum": 7, "unknown": []},
        {**GOOD, "size": "3.5"},
        {**GOOD, "size": True},
        {**GOOD, "colour": 3},
        {**GOOD, "plum": 1.5},
        {"size": 1.0},
        {**GOOD, "size": 3.4e38},
        {**GOOD, "size": 3.5e38},
        {**GOOD, "size": -3.5e38},
        {**GOOD, "plum": "é" * 1024},
        {**GOOD, "plum": "é" * 1025},
        {**GOOD, "colour": "x" * 1025},
        {**GOOD, "rows": 3},
        {**GOOD, "rows": []},
    ],
)
@pytest.mark.parametrize("wrap", [lambda row: {"rows": [row]}, lambda row: [row], lambda row: row])
def test_the_service_takes_what_its_document_says(
    client: httpx.Client, document: dict[str, Any], row: dict[str, Any], wrap: Any
) -> None:
    sent = wrap(row)
    answered = client.post("/predict", json=sent)
    assert answered.status_code in (200, 400)
    assert fits(sent, body(document, "/predict")["schema"], document) == answered.is_success
    assert fits(answered.json(), answer(document, "/predict", answered.status_code), document)


@pytest.mark.parametrize(
    "sent",
    [
        {"dataframe_split": {"columns": ["size", "colour"], "data": [[1.0, "red"]]}},
        {"dataframe_records": [GOOD]},
        {"instances": [[1.0, "red"]]},
        {"inputs": {"size": [1.0], "colour": ["red"]}},
        {"instances": [GOOD], "inputs": [GOOD]},
        {"dataframe_split": {"columns": ["size", "colour"]}},
        {"rows": [GOOD]},
        {"dataframe_records": [[1.0, "red"]]},
        {"dataframe_records": []},
        {"inputs": {"size": [], "colour": []}},
        {"dataframe_split": {"columns": ["size", "colour"], "data": []}},
        {"instances": [GOOD], "dataframe_split": {}},
        {"instances": [[1.0]]},
        {"instances": [[1.0, "red", 3]]},
        {"instances": [[1.0, 3]]},
        {"instances": [[1.0, "red"], GOOD]},
        {"instances": [[1.0, "red"]] * LIMITS.rows},
        {"instances": [[1.0, "red"]] * (LIMITS.rows + 1)},
        {"inputs": {"size": [1.0]}},
        {"inputs": {"size": [True], "colour": ["red"]}},
        {"inputs": {"size": [1.0], "colour": ["red"], "other": [{}]}},
        {"inputs": {"size": [1.0] * (LIMITS.rows + 1), "colour": ["red"] * (LIMITS.rows + 1)}},
        {"dataframe_split": {"columns": ["size"], "data": [[1.0]]}},
        {"dataframe_split": {"columns": ["size", "size", "colour"], "data": [[1.0, 1.0, "red"]]}},
        {"dataframe_split": {"columns": ["size", "colour", 3], "data": [[1.0, "red", 3]]}},
        {"dataframe_split": {"columns": ["size", "colour"], "data": [[1.0, "red"]] * (LIMITS.rows + 1)}},
    ],
)
def test_so_it_is_with_mlflows_protocol(
    client: httpx.Client, document: dict[str, Any], sent: dict[str, Any]
) -> None:
    answered = client.post("/invocations", json=sent)
    assert fits(sent, body(document, "/invocations")["schema"], document) == answered.is_success
    assert fits(answered.json(), answer(document, "/invocations", answered.status_code), document)


@pytest.mark.parametrize("rows", [1, LIMITS.rows, LIMITS.rows + 1])
def test_the_most_rows_are_in_the_document(client: httpx.Client, document: dict[str, Any], rows: int) -> None:
    for path, sent in (("/predict", [GOOD] * rows), ("/invocations", {"instances": [GOOD] * rows})):
        answered = client.post(path, json=sent)
        assert fits(sent, body(document, path)["schema"], document) == answered.is_success


def test_its_examples_are_answered(client: httpx.Client, document: dict[str, Any]) -> None:
    for path in ("/predict", "/invocations"):
        assert client.post(path, json=body(document, path)["example"]).is_success
    assert body(document, "/predict")["example"] == {"rows": [ROWS[0]]}


def test_every_other_path_of_the_document_is_there(client: httpx.Client, document: dict[str, Any]) -> None:
    asked = [path for path, methods in document["paths"].items() if "get" in methods]
    assert asked == ["/health", "/ready", "/version", "/metrics"]
    for path in asked:
        kinds = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert client.get(path).headers["content-type"].partition(";")[0] in kinds


@pytest.mark.parametrize(
    ("classes", "prediction", "score", "wrong"),
    [
        (["a", "b", "c"], "b", [0.2, 0.5, 0.3], 0.5),
        (None, 3.5, None, 0.5),
        ([False, True], True, 0.75, None),
    ],
)
def test_an_answer_is_described_by_the_task(
    classes: list[Any] | None, prediction: Any, score: Any, wrong: Any
) -> None:
    schema = Schema({"due": "date"}, "y", of_classes(classes).name, time="due")
    bounds = openapi.Bounds(10, 10, 10.0, {})
    document = openapi.document(schema, version="1", classes=classes, example={"due": None}, bounds=bounds)

    def described(score: Any) -> bool:
        answers = [{"id": "1", "prediction": prediction, "score": score}]
        told = {"model_version": "1", "deployment": "d", "predictions": answers}
        return fits(told, answer(document, "/predict", 200), document)

    assert described(score)
    assert not described(wrong)
