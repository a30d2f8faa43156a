"""A declared cadence in Prefect's words, reckoned by Prefect's own classes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import IntervalSchedule

from mlops.config.params import ScheduleParams
from mlops.project.schedule import _wanted

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 10, 22, tzinfo=UTC)
"""Some days before summer time begins there, and before it ends."""
WATCHED = timedelta(days=10)


def planned(wanted: dict[str, Any], begin: datetime) -> list[datetime]:
    """What Prefect plans over some days when it looks again every few hours, as it does."""

    async def look() -> set[datetime]:
        schedule, found = IntervalSchedule.model_validate(wanted), set[datetime]()
        for hours in range(0, int(WATCHED / timedelta(hours=1)), 5):
            found.update(await schedule.get_dates(5, begin + timedelta(hours=hours), begin + WATCHED))
        return found

    # Prefect's own kind of time has differences of its own kind.
    return sorted(datetime.fromtimestamp(run.timestamp(), UTC) for run in asyncio.run(look()))


def wanted(every: str) -> dict[str, Any]:
    found = _wanted("monitor", ScheduleParams(timezone="Europe/Berlin", monitor=every))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize(("every", "apart"), [("6h", timedelta(hours=6)), ("1d", timedelta(days=1))])
def test_an_interval_is_elapsed_time_over_the_change_of_the_clock(
    every: str, apart: timedelta, begin: datetime
) -> None:
    runs = planned(wanted(every), begin)
    assert len(runs) == WATCHED / apart
    assert {later - sooner for sooner, later in pairwise(runs)} == {apart}


def test_it_counts_from_a_midnight_there_which_is_one_o_clock_in_summer() -> None:
    hours = [run.astimezone(BERLIN).hour for run in planned(wanted("1d"), SPRING)]
    assert hours == [0] * 3 + [1] * 7


def test_in_a_zone_of_its_own_prefect_runs_it_once_too_often() -> None:
    """The negative control: the same interval, told with its time zone."""
    midnight = datetime(2024, 1, 1, tzinfo=BERLIN).isoformat()
    local = {"interval": 86400.0, "anchor_date": midnight, "timezone": "Europe/Berlin"}
    assert len(planned(local, SPRING)) > 10
