from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from mlops.errors import DataError, UsageError
from mlops.replay.edges import edges_of
from tests.unit.replay.conftest import BEGIN, DAY, history, params

TIMES = history(days=60)["at"]
RULE = params().train


def test_the_first_model_waits_for_its_rows_and_their_labels_and_the_last_step_reaches_the_newest_row() -> (
    None
):
    edges = edges_of(TIMES, RULE, start=None, step=6 * DAY, delay=2 * DAY)
    assert edges[0] == BEGIN + (12 + 1 + 18 + 2) * DAY
    assert {later - earlier for earlier, later in pairwise(edges)} == {6 * DAY}
    assert edges[-2] <= TIMES.max() < edges[-1]


def test_a_history_that_is_too_short_names_what_it_would_need() -> None:
    with pytest.raises(DataError, match=r"2020-01-01 to 2020-02-29.*take 33d, a step 30d") as error:
        edges_of(TIMES, RULE, start=None, step=30 * DAY, delay=2 * DAY)
    assert "mlops ingest" in error.value.remedy


@pytest.mark.parametrize("days", [0, -5, 60, 400])
def test_a_start_outside_the_history_is_an_error(days: int) -> None:
    with pytest.raises(DataError, match="not within the history"):
        edges_of(TIMES, RULE, start=BEGIN + days * DAY, step=DAY, delay=DAY)


def test_a_step_of_no_length_is_an_error() -> None:
    with pytest.raises(UsageError, match="--step"):
        edges_of(TIMES, RULE, start=None, step=timedelta(0), delay=DAY)
