from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import DataError, RowError
from mlops.schema import Schema
from mlops.serving import requests

SCHEMA = Schema({"size": "number", "colour": "category"}, "ripe", "binary", time="picked", key="plum")
ROW = {"size": 7, "colour": "red"}

values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["rows", "inputs", "data"]), inner)
    ),
)


@pytest.mark.parametrize(
    ("given", "utc"),
    [
        ("2013-07-04T15:00:00Z", "2013-07-04T15:00:00+00:00"),
        ("2013-07-04T11:00:00-04:00", "2013-07-04T15:00:00+00:00"),
        ("2013-07-04 15:00:00", "2013-07-04T15:00:00+00:00"),
        (None, None),
    ],
)
def test_event_times_are_kept_in_utc(given: Any, utc: str | None) -> None:
    assert requests.rows([{**ROW, "picked": given}], SCHEMA).times == [utc]


@pytest.mark.parametrize("given", ["noon", 1372950000, "0001-01-01T00:00:00+23:00", ["2013"]])
def test_what_is_no_time_is_named(given: Any) -> None:
    with pytest.raises(RowError, match="picked"):
        requests.rows([{**ROW, "picked": given}], SCHEMA)


@pytest.mark.parametrize(("given", "key"), [("p1", "p1"), (7, "7"), (None, None), ("", None)])
def test_keys_are_text(given: Any, key: str | None) -> None:
    assert requests.rows([{**ROW, "plum": given}], SCHEMA).keys == [key]


def test_without_key_and_time_fields_rows_have_none() -> None:
    rows = requests.rows([{**ROW, "": "x"}], Schema(SCHEMA.features, "ripe", "binary"))
    assert (rows.keys, rows.times) == ([None], [None])


def test_only_the_features_are_served_as_they_came() -> None:
    assert requests.rows([{**ROW, "plum": 1, "extra": 2}], SCHEMA).served == [ROW]


@settings(deadline=None)
@given(values, st.sampled_from([requests.plain, requests.invocation]))
def test_any_json_gives_records_or_an_error_of_ours(value: Any, unpack: requests.Unpack) -> None:
    import json

    try:
        records = requests.read(json.dumps(value).encode(), unpack, SCHEMA)
        requests.rows(records, SCHEMA)
    except DataError:
        return
    assert all(isinstance(record, dict) for record in records)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_records_or_an_error_of_ours(body: bytes) -> None:
    try:
        requests.read(body, requests.plain, SCHEMA)
    except DataError:
        return
