"""What a year may leave: the judge of the long soak, judged itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.growth import Reading, excesses, ruled

WEEKS = 52
RETRAININGS = 6
MOST = ruled(reports=26, deployments=3)
MB = 2**20


def year(leak: Callable[[int, Reading], None] = lambda *_: None) -> list[Reading]:
    """A year as it should be, each week altered by a leak."""
    readings = []
    for week in range(1, WEEKS + 1):
        files = {
            **dict.fromkeys(("gateway", "services"), 2),
            "reports": min(week, 26),
            "locks": 8,
            "logs": 12,
        }
        files |= {"labels": week, "predictions": 2 + week // 4, "mlflow": 28 + week + 27 * (week // 8)}
        files |= {"bundles": 10 + 10 * (week // 8), "worktree": 60 + 4 * (week // 8)}
        reading = Reading(week, {"mlflow": 500 * MB, "runner": 250 * MB}, {"runner": 40}, Counter(files))
        leak(week, reading)
        readings.append(reading)
    return readings


def test_a_year_as_it_should_be_is_without_excess() -> None:
    assert excesses(year(), MOST, retrainings=RETRAININGS) == []


@pytest.mark.parametrize(
    "folder", ["bundles", "labels", "locks", "logs", "mlflow", "reports", "worktree", "x"]
)
@pytest.mark.parametrize("a_week", [20, 1000])
def test_files_that_stay_each_week_are_found_in_every_folder(folder: str, a_week: int) -> None:
    def leak(week: int, reading: Reading) -> None:
        reading.files[folder] += a_week * week

    assert any(line.startswith(f"{folder}: ") for line in excesses(year(leak), MOST, retrainings=RETRAININGS))


def test_a_report_beyond_the_rule_is_found() -> None:
    def leak(week: int, reading: Reading) -> None:
        reading.files["reports"] += week == 40

    assert "reports: 27 files in week 40, of 26" in excesses(year(leak), MOST, retrainings=RETRAININGS)


def test_memory_and_descriptors_that_grow_are_found() -> None:
    def leak(week: int, reading: Reading) -> None:
        reading.memory["runner"] += 4 * MB * week  # type: ignore[index]
        reading.descriptors["runner"] += week  # type: ignore[index]

    assert [line.partition(":")[0] for line in excesses(year(leak), MOST, retrainings=RETRAININGS)] == [
        "runner",
        "runner",
    ]
