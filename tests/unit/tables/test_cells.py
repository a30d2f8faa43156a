from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.contract import ColumnRule, Contract
from mlops.data.validation import check
from mlops.feature_types.cells import code, is_whole, jsonable, plain, spelled
from mlops.schema import Schema
from mlops.tables.conform import conform


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (np.int8(7), "7"),
        (np.float32(7), "7"),
        (Decimal("7.00"), "7"),
        (2**60 + 1, str(2**60 + 1)),
        (8.5, "8.5"),
        (np.float32(0.1), "0.1"),
        (Decimal("8.50"), "8.5"),
        (True, "true"),
        (np.False_, "false"),
        ("07", "07"),
        ("7.0", "7.0"),
        (float("inf"), "inf"),
    ],
)
def test_what_names_something_is_spelled_alike_whatever_type_a_file_has_it_in(value: Any, text: str) -> None:
    assert spelled(value) == text


def test_a_code_read_beside_a_gap_is_whole_and_a_truth_is_no_number() -> None:
    assert [is_whole(value) for value in (7.0, True, "7", 7.5, float("nan"), Decimal("NaN"))] == [
        True, False, False, False, False, False,
    ]  # fmt: skip
    told = [code(value) for value in (7.0, np.float64(7.5), np.True_, "a")]
    assert told == [7, 7.5, True, "a"]
    assert [type(value) for value in told] == [int, float, bool, str]
    assert type(plain(np.float32(7))) is float


def test_every_cell_has_a_value_in_json() -> None:
    cells = [
        np.int64(1), np.nan, pd.NaT, None, float("inf"), Decimal("2.50"), Decimal(3), date(2026, 1, 2),
        datetime(2026, 1, 2, tzinfo=UTC), b"x", np.True_,
    ]  # fmt: skip
    told = json.loads(json.dumps([jsonable(cell) for cell in cells], allow_nan=False))
    assert told == [
        1, None, None, None, "inf", 2.5, 3, "2026-01-02", "2026-01-02T00:00:00+00:00", "b'x'", True,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32", object])
def test_the_contracts_categories_are_those_of_the_lake(dtype: Any) -> None:
    schema = Schema({"code": "category"}, "y", "regression")
    rule = ColumnRule(type="category", allowed=(7.0, 8.5, 0.1))
    table = pd.DataFrame({"code": pd.Series([7, 8.5, 0.1], dtype=dtype), "y": [1.0, 2.0, 3.0]})
    checked = check(table, Contract(columns={"code": rule}), schema, datetime(2026, 2, 1, tzinfo=UTC))
    assert len(checked.bad) == 0
    assert rule.categories == tuple(conform(table, schema)["code"]) == ("7", "8.5", "0.1")
