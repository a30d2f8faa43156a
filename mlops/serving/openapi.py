"""The service's requests and responses as an OpenAPI document (3.1, spec.openapis.org)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops.feature_types import DATE, FeatureType
from mlops.schema import Schema

__all__ = ["Bounds", "document"]

_JSON = "application/json"
_REFUSALS = {
    "400": "The body is no JSON, or a field is missing or of the wrong type.",
    "408": "The body took too long to arrive.",
    "413": "The body holds too many rows, values or bytes.",
    "415": "The content type is not application/json, or the body is compressed.",
    "503": "Unavailable: the prediction log cannot be written, the model is not ready, or too many bodies "
    "are in flight.",
}


@dataclass(frozen=True)
class Bounds:
    """What the service refuses beyond.

    Parameters
    ----------
    rows
        Most rows of a request.
    characters
        Most characters of a key or a category.
    number
        The greatest number, and its negative the least.
    longest
        Most characters of a category, by feature, where not `characters`.
    """

    rows: int
    characters: int
    number: float
    longest: Mapping[str, int]


def document(
    schema: Schema, *, version: str, classes: Sequence[Any] | None, example: Any, bounds: Bounds
) -> dict[str, Any]:
    """Return the OpenAPI document of one model's service.

    Parameters
    ----------
    version
        The model's.
    classes
        Its labels; None where it predicts a value.
    example
        A row that it can predict.
    """
    rows = {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": bounds.rows}
    # Beside other fields, `rows` are the rows.
    row = {"allOf": [_ref("Row"), {"not": {"required": ["rows"]}}]}
    plain = {"anyOf": [_object(rows=rows), rows, row]}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Predictions of {schema.target}", "version": version},
        "paths": {
            "/predict": _post(
                "Predict rows, each under an id", plain, {"rows": [example]}, gives="Predictions"
            ),
            "/invocations": _post(
                "Predict rows in MLflow's protocol",
                _invocation(schema, rows, bounds),
                {"dataframe_records": [example]},
                gives="InvocationPredictions",
            ),
            "/health": _get("Liveness: the process runs"),
            "/ready": _get(
                "Readiness: golden rows are predicted as in training, and the log can be written", "503"
            ),
            "/version": _get("What is served: version, digest, deployment, lineage"),
            "/metrics": _get("Counters and latencies for Prometheus", kind="text/plain"),
        },
        "components": {"schemas": _schemas(schema, classes, bounds)},
    }


def _schemas(schema: Schema, classes: Sequence[Any] | None, bounds: Bounds) -> dict[str, Any]:
    answer = schema.task_type.prediction_schema(classes)
    text = {"type": "string"}
    return {
        "Row": _row(schema, bounds),
        "Predictions": _object(
            model_version=text,
            deployment=text,
            predictions={
                "type": "array",
                "items": _object(id=text, prediction=answer, score=schema.task_type.score_schema(classes)),
            },
        ),
        "InvocationPredictions": _object(
            predictions={"type": "array", "items": answer},
            model_version=text,
            ids={"type": "array", "items": text},
        ),
        "Error": _object(error=text, field={"type": ["string", "null"]}, row={"type": ["integer", "null"]}),
    }


def _row(schema: Schema, bounds: Bounds) -> dict[str, Any]:
    key = {
        "type": ["string", "integer", "null"],
        "maxLength": bounds.characters,
        "description": "Names the row; labels come by it.",
    }
    roles = {schema.key: key, schema.time: _or_null(DATE)}
    # Further fields are ignored, so that a client may send one before a model asks for it.
    return {
        "type": "object",
        "required": list(schema.features),
        "properties": {name: value for name, value in roles.items() if name} | _fields(schema, bounds),
    }


def _fields(schema: Schema, bounds: Bounds) -> dict[str, Any]:
    return {name: _field(name, type, bounds) for name, type in schema.types.items()}


def _field(name: str, type: FeatureType, bounds: Bounds) -> dict[str, Any]:
    field = _or_null(type)
    if type.has_vocabulary:
        return {"maxLength": bounds.longest.get(name, bounds.characters), **field}
    if type.json_schema["type"] == "number":
        return {"minimum": -bounds.number, "maximum": bounds.number, **field}
    return field


def _or_null(type: FeatureType) -> dict[str, Any]:
    return {**type.json_schema, "type": [type.json_schema["type"], "null"]}


def _invocation(schema: Schema, rows: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    fields = _fields(schema, bounds)
    many = {"type": "array", "minItems": 1, "maxItems": bounds.rows}
    values = {"prefixItems": list(fields.values()), "items": False, "minItems": len(fields)}
    lists = {**many, "items": {"type": "array", **values}}
    as_rows = {"anyOf": [rows, lists]}
    columns = {
        "type": "object",
        "description": "A list of values for each column, all of one length.",
        "required": list(fields),
        "properties": {name: {**many, "items": field} for name, field in fields.items()},
        "additionalProperties": many,
    }
    names = {
        "type": "array",
        "items": {"type": "string"},
        "uniqueItems": True,
        "allOf": [{"contains": {"const": name}} for name in fields],
    }
    split = _object(
        columns=names,
        data={
            **many,
            "description": "A list of values for each row, as many as there are columns.",
            "items": {"type": "array", "minItems": len(fields)},
        },
    )
    forms = {
        "dataframe_split": split,
        "dataframe_records": as_rows,
        "instances": as_rows,
        "inputs": {"anyOf": [as_rows, columns]},
    }
    return {"type": "object", "properties": forms, "oneOf": [{"required": [name]} for name in forms]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _post(summary: str, takes: Mapping[str, Any], example: Any, *, gives: str) -> dict[str, Any]:
    body = {"required": True, "content": {_JSON: {"schema": takes, "example": example}}}
    predictions = {"200": _response("The predictions, in the order of the rows.", _ref(gives))}
    return {
        "post": {"summary": summary, "requestBody": body, "responses": predictions | _refusals(*_REFUSALS)}
    }


def _get(summary: str, *refused: str, kind: str = _JSON) -> dict[str, Any]:
    ok = {"200": {"description": summary, "content": {kind: {}}}}
    return {"get": {"summary": summary, "responses": ok | _refusals(*refused)}}


def _refusals(*statuses: str) -> dict[str, Any]:
    return {status: _response(_REFUSALS[status], _ref("Error")) for status in statuses}


def _response(why: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": why, "content": {_JSON: {"schema": schema}}}
