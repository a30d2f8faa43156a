"""Does growth retrain by itself, and is a column in another unit named and blocked?

    .venv/bin/python benchmarks/broken_trials.py [--trials 50] [--out FILE]

Each trial is a made stream: the 90 days before day 270 are the reference, then come windows of 30 days, each
judged by `mlops.monitoring.drift.measure` and, once drift is confirmed, by `retraining.may_start`, until a
retraining starts or is refused because of a broken column. What happens happens on day 277, inside the first
window, or over the whole stream. benchmarks/results/broken_trials.md has the printed table. The seeds,
consecutive from 20,260 on, were fixed before any rule was tried on them. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from streams.generator import CHANGE_DAY, DAYS, Draw, draw, moment
from streams.stream import Array

from mlops.config.params import MonitorParams, RetrainParams
from mlops.monitoring.drift import confirms, measure
from mlops.monitoring.retraining import may_start, untrainable
from mlops.replay.champion import RememberedNulls
from mlops.schema import Schema

SEED, TRIALS = 20_260, 50
FITTED_DAYS, FIRST_DAY, WINDOW_DAYS = 90, 270, 30

Column = Callable[[Draw], Array]
"""Makes the column that something happens to, for every row of a stream."""


def since(drawn: Draw, day: float = CHANGE_DAY) -> Array:
    """Mark the rows from a day on."""
    return np.asarray(drawn.day >= day)


def size(drawn: Draw) -> Array:
    """Return a positive measure without anything happening: log-normal around 40."""
    return np.asarray(40.0 * np.exp(0.5 * drawn.x[:, 3]))


def grown(factor: float) -> Column:
    """Return a column whose level multiplies over the stream."""
    return lambda drawn: size(drawn) * factor ** (drawn.seconds / (DAYS * 86_400))


def times(factor: float, column: Column = size, *, until: float = DAYS, places: int | None = None) -> Column:
    """Return a column that is multiplied from one day to the next."""

    def made(drawn: Draw) -> Array:
        changed = since(drawn) & ~since(drawn, until)
        values = column(drawn) * np.where(changed, factor, 1.0)
        return values if places is None else np.round(values, places)

    return made


def celsius(drawn: Draw) -> Array:
    """Return temperatures indoors."""
    return 20.0 + 5.0 * drawn.x[:, 0]


def outdoors(drawn: Draw) -> Array:
    """Return temperatures with a season, and with days that resemble their neighbours."""
    effects = drawn.rng.normal(size=drawn.days)
    for day in range(1, drawn.days):
        effects[day] = 0.7 * effects[day - 1] + np.sqrt(1 - 0.7**2) * effects[day]
    season = 10.0 - 11.0 * np.cos(2.0 * np.pi * (np.arange(drawn.days) - 15) / 365.25) + 3.0 * effects
    return np.asarray(season[drawn.day] + drawn.x[:, 0])


def fahrenheit(column: Column = celsius, *, back: bool = False, places: int | None = None) -> Column:
    """Return degrees Celsius that become Fahrenheit from one day to the next, or the other way round."""

    def made(drawn: Draw) -> Array:
        values = column(drawn)
        converted = np.where(since(drawn) != back, values * 9 / 5 + 32, values)
        return converted if places is None else np.round(converted, places)

    return made


def market(share: float) -> Column:
    """Return regions of which one opens and takes a share of the rows."""

    def made(drawn: Draw) -> Array:
        old = np.asarray(["north", "south", "east"], dtype=object)[drawn.group]
        return np.where(since(drawn) & (drawn.rng.random(len(old)) < share), "west", old)

    return made


@dataclass(frozen=True)
class Scenario:
    """What happens to a column.

    Parameters
    ----------
    goal
        What should come of it; nothing where no share is asked for.
    least
        The share of the trials in which it should.
    rows_of_a_day
        30 days of them are a window.
    """

    title: str
    column: Column
    goal: str = ""
    least: float = 0.0
    type: str = "number"
    rows_of_a_day: int = 50


def scenarios() -> Iterator[Scenario]:
    """Yield growth and news, then other units, then what is hard, then nothing at all."""
    for factor in (1.5, 2, 5, 10):
        yield Scenario(f"grows ×{factor:g} over the stream", grown(factor), "retrains", 1.0)
    for factor in (1.5, 2, 5, 10):
        yield Scenario(f"×{factor:g} from one day to the next", times(factor), "retrains", 1.0)
    yield Scenario("a new region takes 60% of the rows", market(0.6), "retrains", 1.0, "category")
    yield Scenario("grows ×100 over the stream", grown(100), "retrains", 1.0)
    blocked = {"goal": "blocked", "least": 0.96}
    for factor in (100, 1000, 0.01, 0.001):
        yield Scenario(f"×{factor:g} from one day to the next", times(factor), **blocked)
    yield Scenario("×100, symmetric about 0", times(100, lambda drawn: drawn.x[:, 0]), **blocked)
    yield Scenario("whole metres, then centimetres", times(100, _metres), **blocked)
    yield Scenario("°C, then °F", fahrenheit(), **blocked)
    yield Scenario("°F, then °C", fahrenheit(back=True), **blocked)
    yield Scenario("°C, then °F, whole degrees", fahrenheit(places=0), **blocked)
    yield Scenario("×100 for the last two days of a window", _late, **blocked)
    yield Scenario("×100 for five days", times(100, until=CHANGE_DAY + 5), **blocked)
    yield Scenario("°C, then °F, with seasons", fahrenheit(outdoors))
    yield Scenario("×100, two rows a day", times(100), rows_of_a_day=2)
    yield Scenario("°C, then °F, two rows a day", fahrenheit(), rows_of_a_day=2)
    yield Scenario("×137 from one day to the next", times(137))
    yield Scenario("nothing", size)
    yield Scenario("nothing but seasons", outdoors)


def _metres(drawn: Draw) -> Array:
    exact = 10.0 + 2.0 * drawn.x[:, 0]
    return np.where(since(drawn), exact, np.round(exact))


def _late(drawn: Draw) -> Array:
    return size(drawn) * np.where(since(drawn, FIRST_DAY + WINDOW_DAYS - 2), 100.0, 1.0)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: ``retrains``, ``blocked`` or ``nothing``, when, and what a person reads."""

    verdict: str
    window: int
    sentence: str
    seconds: float


def trial(scenario: Scenario, seed: int) -> Outcome:
    """Play one stream until a retraining starts or is refused."""
    drawn = draw("broken", seed, rows_of_a_day=scenario.rows_of_a_day)
    times_of_rows = pd.Timestamp(moment(0)) + pd.to_timedelta(drawn.seconds, unit="s")
    noise = np.random.default_rng([seed, 1]).normal(size=len(times_of_rows))
    rows = pd.DataFrame(
        {
            "at": times_of_rows,
            "x1": drawn.x[:, 1],
            "x2": drawn.x[:, 2],
            "it": scenario.column(drawn),
            "prediction": noise,
        }
    )
    schema = Schema({"x1": "number", "x2": "number", "it": scenario.type}, "y", "regression", time="at")
    policy = MonitorParams(min_rows=30, confirm=1, of=1, window=timedelta(days=WINDOW_DAYS))
    fitted = rows[(drawn.day >= FIRST_DAY - FITTED_DAYS) & (drawn.day < FIRST_DAY)]
    nulls, reports, seconds = RememberedNulls(), [], 0.0
    for number, day in enumerate(range(FIRST_DAY, DAYS, WINDOW_DAYS), 1):
        window = (moment(day), moment(day + WINDOW_DAYS))
        served = rows[(drawn.day >= day) & (drawn.day < day + WINDOW_DAYS)]
        start = time.perf_counter()
        report = measure(fitted, fitted, served, schema, window=window, policy=policy, nulls=nulls)
        seconds += time.perf_counter() - start
        confirmed = confirms(report, reports, as_of=window[1], policy=policy)
        reports.append(report)
        [column] = [one for one in report.columns if one.column == "it"]
        if column.verdict == "invalid":
            refusal = may_start(
                as_of=window[1],
                last_retrain_as_of=None,
                policy=RetrainParams(),
                broken=untrainable(report, schema),
            )
            assert refusal is not None
            return Outcome("blocked", number, column.note, seconds / number)
        if confirmed and column.verdict == "drift":
            return Outcome("retrains", number, column.note, seconds / number)
    return Outcome("nothing", number, "", seconds / number)


def row(scenario: Scenario, outcomes: Sequence[Outcome]) -> str:
    """Return a scenario's line of the table."""
    count = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in ("retrains", "blocked")}
    goal = f"{scenario.goal} {round(scenario.least * len(outcomes))}" if scenario.goal else ""
    windows = np.mean([one.window for one in outcomes])
    seconds = np.median([one.seconds for one in outcomes])
    example = next((one.sentence for one in outcomes if one.sentence), "")
    return (
        f"| {scenario.title} | {count['retrains']} | {count['blocked']} | {goal} | {windows:.1f} "
        f"| {1000 * seconds:.0f} | {example} |"
    )


def missed(scenario: Scenario, outcomes: Sequence[Outcome]) -> bool:
    """Return whether the goal was missed."""
    reached = sum(one.verdict == scenario.goal for one in outcomes)
    return bool(scenario.goal) and reached < round(scenario.least * len(outcomes))


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args(arguments)
    print("| what happens | retrains | blocked | goal | windows until then | ms a window | note of a trial |")
    print("|---|---:|---:|---|---:|---:|---|")
    misses = 0
    for scenario in scenarios():
        outcomes = [trial(scenario, seed) for seed in range(SEED, SEED + options.trials)]
        misses += missed(scenario, outcomes)
        print(row(scenario, outcomes), flush=True)
    print(f"\n{options.trials} trials each; goals missed: {misses}.")
    return min(misses, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
