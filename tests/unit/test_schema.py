from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import ConfigError, RowError
from mlops.schema import Schema, parse_rows

SCHEMA = Schema({"size": "number", "colour": "category", "new": "boolean"}, "ripe", "binary", key="plum")
ROW = {"size": 1.5, "colour": "red", "new": True}

schemas = st.builds(
    Schema,
    st.dictionaries(
        st.text(min_size=1).map("f_{}".format), st.sampled_from(["number", "category", "boolean"])
    ),
    st.just("y"),
    st.sampled_from(["binary", "multiclass", "regression"]),
    st.none() | st.just("when"),
    st.none() | st.just("which"),
)


@settings(deadline=None)
@given(schemas)
def test_a_schema_survives_json_and_pickle_with_its_order(schema: Schema) -> None:
    for again in (Schema.from_dict(schema.to_dict()), pickle.loads(pickle.dumps(schema))):
        assert again == schema
        assert list(again.features) == list(schema.features)


def test_a_schema_cannot_be_edited() -> None:
    with pytest.raises(TypeError):
        SCHEMA.features["size"] = "category"  # type: ignore[index]


@pytest.mark.parametrize("name", ["score", "id"])
def test_a_column_called_as_the_logs_own_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Schema({name: "number"}, "y", "binary")
    with pytest.raises(ConfigError, match=name):
        Schema({"x": "number"}, name, "binary")


def test_rows_become_columns_in_the_schemas_order() -> None:
    columns = parse_rows([{"new": False, "size": 2, "colour": "blue", "extra": object()}, ROW], SCHEMA)
    assert list(columns) == ["size", "colour", "new"]
    assert columns["size"].dtype == np.float64
    assert columns["size"].tolist() == [2.0, 1.5]
    assert columns["colour"].dtype == object
    assert columns["colour"].tolist() == ["blue", "red"]
    assert columns["new"].tolist() == [0.0, 1.0]


def test_null_is_a_missing_value() -> None:
    columns = parse_rows([{"size": None, "colour": None, "new": None}], SCHEMA)
    assert np.isnan(columns["size"]).all()
    assert np.isnan(columns["new"]).all()
    assert columns["colour"].tolist() == [""]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "0.3"),
        ("size", True),
        ("size", float("nan")),
        ("size", float("inf")),
        ("size", 10**400),
        ("size", [1]),
        ("colour", 3),
        ("colour", {"red": 1}),
        ("new", 1),
        ("new", "true"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(field: str, value: Any) -> None:
    with pytest.raises(RowError, match=f"Row 1: {field} must be") as caught:
        parse_rows([ROW, {**ROW, field: value}], SCHEMA)
    assert (caught.value.row, caught.value.field) == (1, field)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(RowError, match="has no field 'colour'") as caught:
        parse_rows([ROW, {"size": 1, "new": None}], SCHEMA)
    assert (caught.value.row, caught.value.field) == (1, "colour")


def test_the_error_prints_a_bounded_part_of_the_value() -> None:
    with pytest.raises(RowError) as caught:
        parse_rows([{**ROW, "size": "x" * 1_000_000}], SCHEMA)
    assert len(str(caught.value)) < 200
