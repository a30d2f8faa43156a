"""How soon a worse model is noticed by its labels, and how often an unchanged one is called worse.

    .venv/bin/python benchmarks/quality_trials.py [--trials 200] [--seed 20130104]

Each trial serves a logistic model for some windows of 30 days, brings the labels with their delay, and judges
as `mlops monitor` does: `mlops.monitoring.served_quality` on each window, and again where labels have come.
benchmarks/results/quality_trials.md has the printed table. The seed was fixed before the rule was tried on
it; how many trials a scenario has, and how late its scattered labels are, was not. Finished scenarios are
kept in .mlops/quality_trials.jsonl, so that the same command resumes. Scenarios without a change, which have
five windows a trial, and those without a goal take 0.4 of the trials, those with many looks 0.1. Ends with 1
where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from mlops.config.params import Params
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.monitoring.confirmation import Evidence, apart
from mlops.monitoring.quality import LossAtTraining, loss_at_training, quality_window
from mlops.monitoring.served_quality import ServedModel, WindowRows, judged_again, served_quality
from mlops.schema import Schema
from mlops.stats.interval import mean_interval

Floats = NDArray[np.float64]

SEED = 20130104
HERE = Path(__file__).parent
KEPT = HERE.parent / ".mlops" / "quality_trials.jsonl"
SCHEMA = Schema({"x": "number"}, "y", "binary", time="t", key="k")
BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
WINDOW = 30
INTERCEPT, SLOPE = -1.0, 1.2
"""Of the log odds: a positive rate of 31%, and a log loss of .513 beside .623 for a constant."""


@dataclass(frozen=True)
class Scenario:
    """What is served, and when its labels come.

    Parameters
    ----------
    rise
        By how much the expected loss rises, as a share; 0 where nothing changes.
    delay
        Days after which a label comes; `scattered` ones within them, half of them in a third of the time.
    maturity
        What `monitor.label_maturity` says, in days.
    every
        Days between two runs of `mlops monitor`.
    rho, spread
        Of the effects of days on the log odds: their autocorrelation, and their standard deviation.
    corrected
        The share of the labels that come wrong first, and right ten days later.
    rows
        Served in a day.
    goal
        Of the share of trials in which a rise is noticed, or of windows that are called worse without one.
    """

    title: str
    rise: float = 0.0
    delay: int = 30
    maturity: int = 30
    every: int = 30
    rho: float = 0.0
    spread: float = 0.0
    scattered: bool = False
    corrected: float = 0.0
    rows: int = 67
    windows: int = 5
    goal: float | None = None

    @property
    def change(self) -> int:
        """The first day of the new regime: that of the third window."""
        return 2 * WINDOW

    @property
    def share(self) -> float:
        """The share of the trials that it takes."""
        if self.every < WINDOW:
            return 0.1
        return 1.0 if self.rise and self.goal else 0.4

    @property
    def days(self) -> int:
        """How many days are served."""
        return self.windows * WINDOW


def scenarios() -> Iterator[Scenario]:
    """Yield changes, then none."""
    days = {"rho": 0.5, "spread": 0.3}
    for delay in (30, 90):
        yield Scenario("worse by 20%", 0.2, delay, goal=0.95)
        yield Scenario("worse by 20%, day effects", 0.2, delay, **days, goal=0.95)
    yield Scenario("worse by 20%, labels scattered", 0.2, 60, scattered=True, every=10, **days)
    yield Scenario("worse by 20%, 500 rows a window", 0.2, rows=17)
    yield Scenario("worse by 50%, 500 rows a window", 0.5, rows=17)
    yield Scenario("worse by 10%", 0.1)
    for delay in (30, 90):
        yield Scenario("no change", 0.0, delay, goal=0.02)
        yield Scenario("no change, day effects", 0.0, delay, **days, goal=0.02)
    yield Scenario("no change, day effects, 5% corrected", corrected=0.05, every=10, **days, goal=0.02)
    yield Scenario("no change, labels scattered", 0.0, 60, scattered=True, every=10, **days, goal=0.02)
    yield Scenario("no change, 500 rows a window", rows=17, goal=0.02)
    yield Scenario("no change, strong day effects", rho=0.5, spread=0.5)
    yield Scenario("no change, autocorrelation .8", rho=0.8, spread=0.3)


@cache
def slope(rise: float) -> float:
    """Return the slope of the log odds under which the model's expected loss is higher by this share."""
    x = np.random.default_rng(0).standard_normal(200_000)

    def expected(slope: float) -> float:
        right, ours = expit(INTERCEPT + slope * x), INTERCEPT + SLOPE * x
        return float((right * np.logaddexp(0, -ours) + (1 - right) * np.logaddexp(0, ours)).mean())

    goal = (1 + rise) * expected(SLOPE)
    return SLOPE if rise == 0 else float(brentq(lambda slope: expected(slope) - goal, -5, SLOPE))


def effects(scenario: Scenario, days: int, rng: np.random.Generator) -> Floats:
    """Draw the effects of some days from their stationary distribution."""
    steps = rng.standard_normal(days + 60)
    for day in range(1, len(steps)):
        steps[day] = scenario.rho * steps[day - 1] + np.sqrt(1 - scenario.rho**2) * steps[day]
    return np.asarray(scenario.spread * steps[60:])


def drawn(
    scenario: Scenario, days: int, change: int | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Draw the day of each row, the model's probability, and the label."""
    day = np.repeat(np.arange(days), scenario.rows)
    x = rng.standard_normal(day.size)
    slopes = np.where((change is not None) & (day >= (change or 0)), slope(scenario.rise), SLOPE)
    odds = INTERCEPT + effects(scenario, days, rng)[day] + slopes * x
    return day, expit(INTERCEPT + SLOPE * x), rng.random(day.size) < expit(odds)


def log_loss(score: Floats, label: NDArray[np.bool_]) -> Floats:
    """Return the log loss of each row."""
    return np.asarray(-np.log(np.where(label, score, 1 - score)))


@dataclass
class Served:
    """A trial's prediction log, and when the labels of its rows come."""

    log: pd.DataFrame
    label: NDArray[np.bool_]
    first: NDArray[np.bool_]
    comes: Floats
    corrected: Floats
    at_training: LossAtTraining

    @classmethod
    def of(cls, scenario: Scenario, rng: np.random.Generator) -> Served:
        """Draw a trial."""
        before, score, label = drawn(scenario, WINDOW, None, rng)
        at_training = loss_at_training(log_loss(score, label), before, ordered=True)
        day, score, label = drawn(scenario, scenario.days, scenario.change, rng)
        ids = pd.Series(np.arange(day.size).astype(str), dtype=object)
        log = pd.DataFrame(
            {
                "id": ids,
                "key": ids,
                "time": pd.Timestamp(BEGIN) + pd.to_timedelta(day + rng.random(day.size), "D"),
                "prediction": score > 0.5,
                "score": score,
            }
        )
        wait = scenario.delay * (rng.beta(1, 2, day.size) if scenario.scattered else np.ones(day.size))
        wrong = rng.random(day.size) < scenario.corrected
        return cls(log, label, label ^ wrong, day + wait, day + wait + 10 * wrong, at_training)

    def window(self, start: datetime, end: datetime, now: int) -> WindowRows:
        """Return the rows of a window with the labels that have come by a day."""
        times = self.log["time"]
        chosen = ((times >= pd.Timestamp(start)) & (times < pd.Timestamp(end))).to_numpy()
        label = np.where(self.corrected <= now, self.label, self.first).astype(object)
        label[self.comes > now] = None
        return WindowRows(start, end, self.log.assign(y=label)[chosen])


def params(scenario: Scenario) -> Params:
    """Return the settings: the defaults, but for the spans."""
    return Params.model_validate(
        {
            "data": {"name": "t", "target": "y", "time": "t", "key": "k", "features": {"x": "number"}},
            "model": {"builder": "m.py", "task": "binary"},
            "gate": {"metric": "log_loss"},
            "monitor": {
                "window": f"{WINDOW}d", "label_maturity": f"{scenario.maturity}d", "min_rows": 400
            },
        }
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a person would have read in a trial.

    Parameters
    ----------
    first, within
        Whether the rise was noticed when the labels of the first whole window behind the change had come, and
        within a window's length of that.
    before
        The same by the rule before: mature rows of the drift window, once, the bound above 1.1 times the loss
        at training.
    false, confirmed, windows
        Of the windows that ended before the change, or all where there is none: how many were called worse at
        some look, how many confirmed drift with those before, and how many there are.
    looks
        Verdicts that were known.
    """

    first: bool
    within: bool
    before: bool
    false: int
    confirmed: int
    windows: int
    looks: int


def trial(scenario: Scenario, seed: np.random.SeedSequence) -> Outcome:
    """Serve, label and judge once."""
    served = Served.of(scenario, np.random.default_rng(seed))
    settings = params(scenario)
    prior = float(expit(INTERCEPT + SLOPE * np.random.default_rng(0).standard_normal(20_000)).mean())
    model = ServedModel("1", SCHEMA, [False, True], [1 - prior, prior], served.at_training)
    newest: list[QualityVerdict] = []
    looks: list[tuple[int, QualityVerdict]] = []
    before = False
    due = scenario.change + WINDOW + max(scenario.delay, scenario.maturity)
    for now in range(WINDOW, scenario.days + max(scenario.delay, scenario.maturity) + 1, scenario.every):
        as_of = BEGIN + timedelta(days=now)

        def rows(start: datetime, end: datetime, now: int = now) -> WindowRows:
            return served.window(start, end, now)

        earlier = [verdict for _, verdict in looks]
        for place, verdict in judged_again(newest, earlier, model, settings, rows):
            newest[place] = verdict
            looks.append((now, verdict))
        start, end = quality_window(as_of, settings.monitor)
        if start >= BEGIN and now <= scenario.days + scenario.maturity:
            earlier = [verdict for _, verdict in looks]
            newest.append(served_quality(rows(start, end), model, settings, earlier=earlier))
            looks.append((now, newest[-1]))
        before = before or (scenario.change < now <= due + WINDOW and _before(served, scenario, now))
    change = BEGIN + timedelta(days=scenario.change) if scenario.rise else None
    worse = [(now, each) for now, each in looks if each.state == "worse"]
    hits = [now for now, each in worse if change is not None and each.window.end > change]
    calm = {each.window.end for each in newest if change is None or each.window.end <= change}
    return Outcome(
        first=any(now <= due for now in hits),
        within=any(now <= due + WINDOW for now in hits),
        before=before,
        false=len({each.window.end for _, each in worse} & calm),
        confirmed=_confirmed(newest, calm),
        windows=len(calm),
        looks=sum(each.known for _, each in looks),
    )


def _confirmed(newest: Sequence[QualityVerdict], calm: set[datetime]) -> int:
    """Count the windows that confirm drift: worse, and one of the two before them is worse, too."""
    worse = [
        Evidence(each.window.end, each.window.start if each.state == "worse" else None)
        for each in newest
        if each.window.end in calm and each.known
    ]
    raised = [each.since is not None for each in apart(worse, gap=timedelta(days=WINDOW / 2))]
    return sum(raised[place] and any(raised[max(0, place - 2) : place]) for place in range(len(raised)))


def _before(served: Served, scenario: Scenario, now: int) -> bool:
    """Judge as it was done before: rows of the drift window that are older than the maturity."""
    end = BEGIN + timedelta(days=now)
    rows = served.window(end - timedelta(days=WINDOW), end - timedelta(days=scenario.maturity), now).rows
    labelled = rows[rows["y"].notna()]
    if len(labelled) < 400 or len(labelled) < 0.5 * len(rows):
        return False
    losses = log_loss(labelled["score"].to_numpy(), labelled["y"].to_numpy(bool))
    days = (labelled["time"] - pd.Timestamp(BEGIN)).dt.days
    return mean_interval(losses, days, confidence=0.95, ordered=True).low > 1.1 * served.at_training.mean


def shares(scenario: Scenario, number: int, trials: int, seed: int) -> dict[str, float]:
    """Run the trials of one scenario."""
    seeds = np.random.SeedSequence([seed, number]).spawn(trials)
    made = pd.DataFrame([asdict(trial(scenario, each)) for each in seeds])
    means = made[["first", "within", "before", "looks"]].mean()
    rates = made[["false", "confirmed"]].sum() / max(1, made["windows"].sum())
    return {**means.to_dict(), **rates.to_dict()}


def line(scenario: Scenario, found: dict[str, float]) -> str:
    """Return a row of the table."""
    changed = scenario.rise > 0
    noticed = [f"{found[name]:.1%}" if changed else "" for name in ("before", "first", "within")]
    goal = "" if scenario.goal is None else f"{'≥' if changed else '≤'} {scenario.goal:.0%}"
    facts = (scenario.delay, scenario.every, f"{scenario.rho:g}")
    cells = [
        scenario.title,
        *map(str, facts),
        *noticed,
        f"{found['false']:.1%}",
        goal,
        f"{found['confirmed']:.1%}",
        f"{found['looks']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def missed(scenario: Scenario, found: dict[str, float]) -> bool:
    """Whether the scenario's goal is missed."""
    if scenario.goal is None:
        return False
    return found["within"] < scenario.goal if scenario.rise > 0 else found["false"] > scenario.goal


COLUMNS = (
    *(
        "what",
        "label delay, days",
        "monitored every",
        "ρ",
        "noticed before",
        "at the labels",
        "within a window",
    ),
    *("false", "goal", "confirmed", "looks"),
)


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    KEPT.parent.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD:mlops"], capture_output=True, text=True, cwd=HERE, check=True
    ).stdout.strip()
    kept = [json.loads(each) for each in KEPT.read_text("utf-8").splitlines()] if KEPT.is_file() else []
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    misses = 0
    for number, scenario in enumerate(scenarios()):
        about: dict[str, Any] = {
            "commit": commit, "trials": options.trials, "seed": options.seed, "scenario": asdict(scenario)
        }  # fmt: skip
        found = next((each["found"] for each in kept if each["about"] == about), None)
        if found is None:
            found = shares(scenario, number, round(scenario.share * options.trials), options.seed)
            with KEPT.open("a") as file:
                file.write(json.dumps({"about": about, "found": found}) + "\n")
        misses += missed(scenario, found)
        print(line(scenario, found), flush=True)
    return min(misses, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
