"""What a window's drift statistics cost, beside Evidently's preset on the same table.

    .venv/bin/python benchmarks/drift.py [rounds]

The flights' features, as the monitoring hands them over: a quarter of a year against windows of two
sizes. The preset has Evidently's own statistics; `each` is what decides, one robust statistic a column, which
Evidently calls; `own` is the same figure in numpy, of which the thresholds are made; `judged` is all of
`drift.measure`. Goals: 10 times faster than the preset, the figures equal to 1e-6, memory flat in the rows.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from streams.flights import flights

from mlops.adapters import evidently
from mlops.config.project_folder import load_params
from mlops.monitoring import drift
from mlops.scaffold.template import template
from mlops.schema import Schema
from mlops.stats.distance import distances, prepared
from mlops.tables.conform import conform

SIZES = (20_000, 80_000)
GOAL, EQUAL = 10, 1e-6


def preset(reference: pd.DataFrame, current: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, float]:
    """Measure as a person would: Evidently's preset with the same statistics."""
    numbers = [name for name, kind in columns.items() if kind == "number"]
    names = [name for name in columns if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=names)
    old, new = (
        Dataset.from_pandas(prepared(side, columns), data_definition=definition)
        for side in (reference, current)
    )
    wanted = {"num_method": "wasserstein", "cat_method": "jensenshannon", "include_tests": False}
    found = Report([DataDriftPreset(columns=list(columns), **wanted)]).run(new, old).dict()["metrics"]
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in found
        if "column" in metric["config"] and isinstance(metric["value"], float)
    }


def seconds(action: Callable[[], Any]) -> float:
    """Time one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def megabytes(action: Callable[[], Any]) -> float:
    """Return the most memory that a call took beyond what was there."""
    tracemalloc.start()
    action()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def main(rounds: int) -> None:
    """Print the figures."""
    params = load_params(template() / "params.yaml")
    schema = Schema.from_params(params)
    reference, served = (conform(flights(*months), schema) for months in ((1, 2, 3), (4, 5, 6)))
    reference = reference.sample(20_000, random_state=0).sort_values(schema.time)
    answers = reference.assign(prediction=(reference["dep_minute"] % 97) / 97)
    columns = {name: kind for name, kind in drift.watched(schema).items() if name != "prediction"}
    for size in SIZES:
        current = served.sample(size, random_state=0).sort_values(schema.time)
        judged = current.assign(prediction=(current["dep_minute"] % 97) / 97)
        window = tuple(current[schema.time].agg(["min", "max"]).dt.to_pydatetime())
        ways: dict[str, Callable[[], Any]] = {
            "preset": lambda current=current: preset(reference, current, columns),
            "each": lambda current=current: evidently.statistics(reference, current, columns),
            "own": lambda current=current: distances(reference, current, columns),
            "judged": lambda judged=judged, window=window: drift.measure(
                reference, answers, judged, schema, window=window, policy=params.monitor
            ),
        }
        theirs, ours = ways["each"](), ways["own"]()
        apart = max(abs(theirs[name] - ours[name]) for name in columns)
        # In turn, so that what else the machine does falls on all alike.
        taken = [{name: seconds(way) for name, way in ways.items()} for _ in range(rounds)]
        median = {name: statistics.median(times[name] for times in taken) for name in ways}
        print(f"{size:,} rows, {len(columns)} columns; apart by {apart:.1e} at most   goal <= {EQUAL:g}")
        for name, way in ways.items():
            times = "" if name == "preset" else f"   preset / it = {median['preset'] / median[name]:5.1f}"
            print(f"  {name:<7} {median[name]:6.2f} s  {megabytes(way):7.1f} MB{times}   goal >= {GOAL}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
