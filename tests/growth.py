"""What a loop may leave on disk and take of memory in a year, as readings after each week tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

SETTLED = 12
"""Weeks until every part has done each of its jobs, and holds what it needs for them."""
MOST_MEMORY = 1.5
"""How many times what a part took once it was settled it may take later."""
MOST_DESCRIPTORS = 20
"""How many more than then."""


@dataclass(frozen=True)
class Reading:
    """What was there after a week: bytes and descriptors by part, files by folder of .mlops."""

    week: int
    memory: Mapping[str, int]
    descriptors: Mapping[str, int]
    files: Counter[str]

    def line(self) -> str:
        """Return it for a person who waits."""
        memory = ", ".join(f"{part} {size / 2**20:.0f} MB" for part, size in self.memory.items())
        files = ", ".join(f"{folder} {count}" for folder, count in sorted(self.files.items()))
        return f"week {self.week:2}: {memory}; {sum(self.descriptors.values())} descriptors; {files}\n"


def ruled(*, reports: int, deployments: int) -> dict[str, int]:
    """Return the most files of each folder that does not grow, whatever the weeks.

    Parameters
    ----------
    reports, deployments
        `keep.reports` and `deploy.keep` of params.yaml.
    """
    return {
        "reports": reports,
        "gateway": 2,
        "history.parquet": 1,
        "labels.parquet": 1,
        "ledger.db": 1,
        "ledger.db-shm": 1,
        "ledger.db-wal": 1,
        "locks": 12,
        # Four parts and two supervisors, each with what was rotated, and the services that ended or run.
        "logs": 4 * 4 + 2 * 3 + deployments + 2,
        "prefect": 8,
        "run": 6,
        "runs": 4,
        "services": 2,
    }


A_WEEK = {"labels": 1, "predictions": 2, "mlflow": 2, "bundles": 0, "worktree": 0}
"""The most files by which each folder of history grows in a week: MLflow has each week's report."""
A_RETRAINING = {"mlflow": 40, "bundles": 12, "worktree": 8}
"""The most files that each retraining adds: a run, a bundle, and what the lake got."""


def excesses(readings: Sequence[Reading], most: Mapping[str, int], *, retrainings: int) -> list[str]:
    """Say what grew that should not, of readings that come week by week.

    Parameters
    ----------
    most
        Files by folder, of those that do not grow; as `ruled` tells.
    retrainings
        How many there were.
    """
    early, late = readings[SETTLED - 1], readings[-1]
    ruled = (line for reading in readings for line in _of_rules(reading, most))
    return [*_of_parts(early, late), *ruled, *_of_history(early, late, retrainings)]


def _of_parts(early: Reading, late: Reading) -> Iterator[str]:
    for part, size in early.memory.items():
        if late.memory[part] >= size * MOST_MEMORY:
            yield f"{part}: {late.memory[part] / size:.1f} times the memory"
    for part, count in early.descriptors.items():
        if late.descriptors[part] > count + MOST_DESCRIPTORS:
            yield f"{part}: {late.descriptors[part] - count} descriptors more"


def _of_rules(reading: Reading, most: Mapping[str, int]) -> Iterator[str]:
    for folder, count in reading.files.items():
        if folder not in A_WEEK and count > most.get(folder, 0):
            yield f"{folder}: {count} files in week {reading.week}, of {most.get(folder, 0)}"


def _of_history(early: Reading, late: Reading, retrainings: int) -> Iterator[str]:
    weeks = late.week - early.week
    for folder, a_week in A_WEEK.items():
        grown = late.files[folder] - early.files[folder]
        if grown > a_week * weeks + A_RETRAINING.get(folder, 0) * retrainings:
            yield f"{folder}: {grown} files more in {weeks} weeks with {retrainings} retrainings"
