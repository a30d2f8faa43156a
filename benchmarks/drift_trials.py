"""How often windows without drift are confirmed, and how soon a moved column is.

    .venv/bin/python benchmarks/drift_trials.py [--trials 40] [--seed 20130101] [--only TEXT]

Each trial makes a reference of some days and windows of 30 days after it, ten features and a prediction, and
asks `mlops.monitoring.drift` at the default settings, window after window. benchmarks/results/drift_trials.md
has the printed table, before and after. The rule was chosen on seeds below 1,000; the default seed was fixed
before and is none of them. Scenarios without a goal take 0.4 of the trials. Ends with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.config.params import MonitorParams
from mlops.ledger.drift_report import DriftReport
from mlops.monitoring import drift
from mlops.monitoring.confirmation import confirmed_since
from mlops.replay.champion import RememberedNulls
from mlops.schema import Schema

Floats = NDArray[np.float64]

SEED = 20130101
WINDOW_DAYS, WINDOWS = 30, 6
NUMBERS = tuple(f"x{number}" for number in range(8))
SCHEMA = Schema(
    {**dict.fromkeys(NUMBERS, "number"), "group": "category", "flag": "boolean"}, "y", "binary", time="at"
)
IMPORTANCES = {"x0": 0.1, "x1": 0.1, "x2": 0.05, "group": 0.05}
START = datetime(2022, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = MonitorParams(window=WINDOW_DAYS * DAY)
SENTINELS = 0.0004


@dataclass(frozen=True)
class Scenario:
    """What the days of a trial are like.

    Parameters
    ----------
    days
        The reference's.
    rows
        Of a day.
    rho
        The autocorrelation of the days' effects.
    spread
        Their standard deviation, beside rows of 1.
    season
        The amplitude of a weekly season: how much lower the weekend is.
    heavy
        Rows of a Cauchy distribution, days of Student's t with 3 degrees of freedom.
    sentinels
        Whether some values of x0 are 999.
    shift
        How far x0 lies in the windows.
    least, most
        The goal: the least share of trials caught in the first two windows, the most windows confirmed.
    """

    title: str
    days: int = 60
    rows: int = 50
    rho: float = 0.0
    spread: float = 0.0
    season: float = 0.0
    heavy: bool = False
    sentinels: bool = False
    shift: float = 0.0
    least: float = 0.0
    most: float = 1.0

    @property
    def goal(self) -> str:
        """The goal, in words."""
        return f"≤ {self.most:.0%}" if self.most < 1 else f"≥ {self.least:.0%}" if self.least else ""


def scenarios() -> Iterator[Scenario]:
    """Yield those without drift, then those with."""
    days = {"spread": 0.5}
    yield Scenario("independent rows", most=0.01)
    yield Scenario("independent days", **days, most=0.01)
    yield Scenario("weekly season", **days, season=1.0, most=0.01)
    yield Scenario("heavy-tailed", **days, heavy=True, most=0.01)
    yield Scenario("with sentinels", **days, sentinels=True, most=0.01)
    yield Scenario("dependent days", rho=0.3, **days, most=0.01)
    yield Scenario("dependent days", rho=0.5, **days, most=0.01)
    yield Scenario("dependent days", rho=0.8, **days)
    yield Scenario("dependent days", days=120, rho=0.8, **days, most=0.05)
    yield Scenario("dependent days", days=365, rho=0.8, rows=20, **days, most=0.01)
    yield Scenario("half a deviation, 500 rows", rows=17, shift=0.5, least=0.95)
    yield Scenario("a quarter, 2,000 rows", rows=67, shift=0.25, least=0.90)
    yield Scenario("3 deviations beside sentinels", rows=83, sentinels=True, shift=3.0, least=1.0)
    yield Scenario("one deviation, independent days", shift=1.0, **days)
    yield Scenario("one deviation, weekly season", shift=1.0, season=1.0, **days)
    yield from (
        Scenario("one deviation, dependent days", length, rho=rho, shift=1.0, **days)
        for rho, length in ((0.5, 60), (0.8, 120), (0.8, 365))
    )


def effects(scenario: Scenario, rng: np.random.Generator, count: int) -> Floats:
    """Draw effects of so many days, shape (days, 10), from their stationary distribution."""
    shape = (60 + count, 10)
    steps = rng.standard_t(3, shape) / np.sqrt(3) if scenario.heavy else rng.standard_normal(shape)
    made = np.empty(shape)
    made[0] = steps[0]
    for day in range(1, len(made)):
        made[day] = scenario.rho * made[day - 1] + np.sqrt(1 - scenario.rho**2) * steps[day]
    weekend = (np.arange(count) % 7 >= 5)[:, None]
    return scenario.spread * made[60:] - scenario.season * weekend


def rows(scenario: Scenario, rng: np.random.Generator, windows: int) -> pd.DataFrame:
    """Make the rows of one trial: the reference's and the windows'."""
    count = scenario.days + windows * WINDOW_DAYS
    day = np.arange(count).repeat(scenario.rows)
    shape = (day.size, 10)
    noise = rng.standard_cauchy(shape) if scenario.heavy else rng.standard_normal(shape)
    latent = effects(scenario, rng, count)[day] + noise
    latent[day >= scenario.days, 0] += scenario.shift
    frame = pd.DataFrame(latent[:, :8], columns=list(NUMBERS))
    frame["group"] = np.array(["a", "b", "c", "d"])[np.digitize(latent[:, 8], [-1, 0, 1.5])]
    frame["flag"] = latent[:, 9] > 0.5
    frame["prediction"] = 1 / (
        1 + np.exp(-np.clip(latent[:, [0, 1, 2, 8]] @ [0.5, 0.5, 0.25, 0.25], -30, 30))
    )
    frame["at"] = pd.Timestamp(START) + pd.to_timedelta(day, unit="D")
    if scenario.sentinels:
        frame.loc[rng.random(day.size) < SENTINELS, "x0"] = 999.0
        frame.loc[[0, 1, len(frame) - 1, len(frame) - 2], "x0"] = 999.0
    return frame


@dataclass(frozen=True)
class Outcome:
    """Shares: of windows raised, of windows confirmed, of trials confirmed in the first two windows."""

    raised: float
    confirmed: float
    caught: float


def trial(scenario: Scenario, seed: np.random.SeedSequence) -> Outcome:
    """Judge the windows of one trial, one after another."""
    windows = 2 if scenario.shift else WINDOWS
    frame = rows(scenario, np.random.default_rng(seed), windows)
    reports: list[DriftReport] = []
    confirmed: list[bool] = []
    nulls = RememberedNulls()
    since = START + scenario.days * DAY
    reference = frame[frame["at"] < since]
    for number in range(windows):
        window = (since + number * POLICY.window, since + (number + 1) * POLICY.window)
        current = frame[(frame["at"] >= window[0]) & (frame["at"] < window[1])]
        report = drift.measure(
            reference,
            reference,
            current,
            SCHEMA,
            window=window,
            policy=POLICY,
            nulls=nulls,
            importances=IMPORTANCES,
        )
        reports.append(report)
        confirmed.append(report.raised and confirmed_since(reports, policy=POLICY) is not None)
    raised = float(np.mean([report.raised for report in reports]))
    return Outcome(raised, float(np.mean(confirmed)), float(any(confirmed[:2])))


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="scenarios whose title holds this")
    options = parser.parse_args(arguments)
    print("| scenario | days | rows a day | ρ | windows raised | confirmed | caught in two | goal |")
    print("|---|---|---|---|---|---|---|---|")
    missed = 0
    for number, scenario in enumerate(scenarios()):
        if options.only not in scenario.title:
            continue
        trials = options.trials if scenario.goal else round(0.4 * options.trials)
        seeds = np.random.SeedSequence([options.seed, number]).spawn(trials)
        made = [trial(scenario, seed) for seed in seeds]
        raised, confirmed, caught = (
            float(np.mean([getattr(one, name) for one in made])) for name in ("raised", "confirmed", "caught")
        )
        missed += confirmed > scenario.most or caught < scenario.least
        shares = (
            [f"{raised:.1%}", "", f"{caught:.1%}"]
            if scenario.shift
            else [f"{raised:.1%}", f"{confirmed:.1%}", ""]
        )
        facts = [scenario.title, scenario.days, scenario.rows, f"{scenario.rho:g}", *shares, scenario.goal]
        print(f"| {' | '.join(map(str, facts))} |", flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
