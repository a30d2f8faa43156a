from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from mlops.data.cursor import greatest, later, value_of
from mlops.errors import DataError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([3, 7, 5], 7),
        ([Decimal("1.5"), None], Decimal("1.5")),
        ([Decimal("0.1")], Decimal("0.1")),
        ([Decimal(1700000000000000210)], 1700000000000000210),
        (["a", "c", "b"], "c"),
        ([NOON, datetime(2025, 1, 1, tzinfo=UTC)], NOON),
        ([pd.Timestamp(NOON), pd.NaT], NOON),
        ([date(2026, 1, 1), date(2026, 1, 2)], date(2026, 1, 2)),
    ],
)
def test_a_position_is_a_json_value_that_reads_back(values: list[Any], best: Any) -> None:
    position = json.loads(json.dumps(greatest(None, values, "at")))
    assert value_of(position) == best
    assert greatest(position, values[:1], "at") == position  # never goes back
    assert greatest(position, [], "at") == position


def test_a_decimal_is_no_further_than_it_is() -> None:
    taken = greatest(None, [Decimal(1700000000000000200), Decimal(1700000000000000210)], "id")
    assert value_of(taken) < Decimal(1700000000000000250)
    assert value_of(greatest(None, [Decimal("0.3")], "id")) < Decimal("0.3000000000000000001")
    assert value_of(1.5) == Decimal("1.5")  # as a position of a float is


def test_values_that_cannot_be_compared_name_the_cursor() -> None:
    with pytest.raises(DataError, match="cursor at"):
        greatest(None, [1, "b"], "at")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (3, 5, 5),
        ({"time": "2026-01-02T00:00:00+00:00"}, {"time": "2026-01-01T00:00:00+00:00"}, None),
        ({"version": 4}, {"version": 3}, {"version": 4}),
        ({"files": {"a": "1"}}, {"files": {"b": "2"}}, {"files": {"a": "1", "b": "2"}}),
        (None, 5, 5),
    ],
)
def test_two_positions_make_one(one: Any, other: Any, both: Any) -> None:
    both = one if both is None else both
    assert later(one, other) == later(other, one) == both
