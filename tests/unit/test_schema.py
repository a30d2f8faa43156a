from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import ConfigError, RowError
from mlops.rows import parse_rows
from mlops.schema import Schema

SCHEMA = Schema({"size": "number", "colour": "category", "new": "boolean"}, "ripe", "binary", key="plum")
ROW = {"size": 1.5, "colour": "red", "new": True}

schemas = st.builds(
    Schema,
    st.dictionaries(
        st.text(min_size=1).map("f_{}".format),
        st.sampled_from(["number", "category", "boolean", "text", "date"]),
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


DATED = Schema({"due": "date", "at": "date", "note": "text"}, "late", "binary", time="at")


def test_a_date_is_taken_apart_and_of_the_event_time_all_but_the_day() -> None:
    columns = parse_rows([{"due": "2024-02-29T18:30:00+02:00", "at": None, "note": "by mail"}], DATED)
    assert list(columns) == list(DATED.inputs)
    assert {name: values.tolist()[0] for name, values in columns.items() if name.startswith("due")} == {
        "due": pytest.approx(19_782 + 16.5 / 24),
        "due.month": 2.0,
        "due.day": 29.0,
        "due.day_of_year": 60.0,
        "due.weekday": 3.0,  # a Thursday
        "due.hour": 16.5,
    }
    assert "at" not in columns
    assert np.isnan(columns["at.hour"]).all()
    assert columns["note"].tolist() == ["by mail"]


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))
def test_the_parts_of_a_date_are_those_of_the_calendar(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    columns = parse_rows([{"due": moment.isoformat(), "at": None, "note": None}], DATED)
    names = ("month", "day", "day_of_year", "weekday", "hour")
    *days, hour = (columns[f"due.{part}"].item() for part in names)
    assert days == [moment.month, moment.day, moment.timetuple().tm_yday, moment.weekday()]
    assert hour == pytest.approx(moment.hour + moment.minute / 60 + moment.second / 3600, abs=1e-9)


@pytest.mark.parametrize("value", ["4 July 2013", 20130704, True, ""])
def test_what_is_no_iso_date_is_refused_by_its_row(value: Any) -> None:
    with pytest.raises(RowError, match="Row 0: due must be a date such as"):
        parse_rows([{"due": value, "at": None, "note": None}], DATED)


@pytest.mark.parametrize("time", [None, "due"])
@pytest.mark.parametrize("part", ["month", "day", "day_of_year", "weekday", "hour"])
def test_a_feature_called_as_a_part_of_a_date_is_refused(time: str | None, part: str) -> None:
    with pytest.raises(ConfigError, match=rf"due\.{part}"):
        Schema({"due": "date", f"due.{part}": "number"}, "late", "binary", time=time)


def test_the_event_time_may_be_called_as_the_log_calls_it() -> None:
    assert Schema({"time": "date"}, "y", "binary", time="time").inputs.keys() == {
        "time.month",
        "time.day",
        "time.day_of_year",
        "time.weekday",
        "time.hour",
    }
    with pytest.raises(ConfigError, match="time"):
        Schema({"time": "date"}, "y", "binary", time="when")
