"""How often the gate promotes equals, and how often a real gain.

    .venv/bin/python benchmarks/gate_trials.py [--trials 1000] [--seed 20130101]

Each trial makes the rows of some days, in three folds, and asks `mlops.evaluation.scopes` at the default
confidence. Scenarios without a goal take 0.4 of the trials. benchmarks/results/gate_trials.md has the printed
table. The formula and its prior were chosen on seeds below 1,000; the default seed was fixed before and is
none of them. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops.config.params import GateParams
from mlops.evaluation.scopes import compare_scopes, deciding
from mlops.stats.interval import mean_interval

Floats = NDArray[np.float64]

SEED = 20130101
FOLDS = 3
POLICY = GateParams(min_rows=1)
BEFORE, AFTER = np.array([-0.5, 0.85]), np.array([0.25, -0.65])
"""Intercept and slope of the log odds; after the change, the old ones lose 0.3 nats."""
APART = np.array([0.1, 0.1])
"""How far two equal models lie on either side of what is right."""


@dataclass(frozen=True)
class Scenario:
    """What the days of a trial are like.

    Parameters
    ----------
    rho
        The autocorrelation of the days' effects.
    spread
        Their standard deviation: of the difference of losses, or of both coefficients of the log odds.
    change
        The first day of the new regime, for which the challenger is right and the champion is not.
    blind
        The champion's slope, as a share of the right one: a gain on every day.
    losses
        Whether rows are labels, and their differences those of two models' log losses. Otherwise they are
        day effects and noise with a standard deviation of 0.6.
    heavy
        Day effects of Student's t with 3 degrees of freedom.
    least, most
        The extent of the goal for the share of promotions.
    """

    title: str
    rho: float
    days: int = 30
    spread: float = 0.1
    change: int | None = None
    blind: float = 1.0
    losses: bool = False
    heavy: bool = False
    rows: tuple[int, int] = (200, 400)
    least: float = 0.0
    most: float = 1.0

    @property
    def goal(self) -> str:
        """The goal, in words."""
        return f"≤ {self.most:.0%}" if self.most < 1 else f"≥ {self.least:.0%}" if self.least else ""


def scenarios() -> Iterator[Scenario]:
    """Yield equals, then gains."""
    for rho, most in ((0.0, 0.03), (0.3, 1.0), (0.6, 0.07), (0.8, 0.14)):
        yield Scenario("equals", rho, most=most)
    for title, facts in (
        ("equals, heavy-tailed days", {"heavy": True}),
        ("equals, small day effects", {"spread": 0.03}),
        ("equals, 2 to 800 rows a day", {"rows": (2, 800)}),
        ("equals", {"days": 10}),
        ("equals", {"days": 60}),
    ):
        yield from (Scenario(title, rho, **facts) for rho in (0.6, 0.8))
    models = {"losses": True, "spread": 0.3}
    yield Scenario("equals, two models", 0.6, **models)
    yield from (Scenario("change on day 9", rho, change=9, least=0.85, **models) for rho in (0.0, 0.6))
    yield from (Scenario(f"change on day {day}", 0.6, change=day, **models) for day in (4, 15, 20))
    for days in (10, 30, 60):
        yield from (Scenario("gain on every day", rho, days=days, blind=0.5, **models) for rho in (0.0, 0.6))


def effects(scenario: Scenario, rng: np.random.Generator, columns: int) -> Floats:
    """Draw effects of the days, shape (days, columns), from their stationary distribution."""
    before = 60
    shape = (before + scenario.days, columns)
    steps = rng.standard_t(3, shape) / np.sqrt(3) if scenario.heavy else rng.standard_normal(shape)
    made = np.empty(shape)
    made[0] = steps[0]
    for day in range(1, len(made)):
        made[day] = scenario.rho * made[day - 1] + np.sqrt(1 - scenario.rho**2) * steps[day]
    return scenario.spread * made[before:]


def trial(scenario: Scenario, rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Make one trial's losses of challenger and champion, and the day of each row."""
    days = np.repeat(np.arange(scenario.days), rng.integers(*scenario.rows, scenario.days, endpoint=True))
    if not scenario.losses:
        return effects(scenario, rng, 1)[days, 0] + rng.normal(0, 0.6, days.size), np.zeros(days.size), days
    x = np.stack([np.ones(days.size), rng.standard_normal(days.size)], axis=1)
    new = np.zeros(days.size, bool) if scenario.change is None else days >= scenario.change
    right = np.where(new[:, None], AFTER, BEFORE)
    odds = (x * (right + effects(scenario, rng, 2)[days])).sum(axis=1)
    label = rng.random(days.size) < 1 / (1 + np.exp(-odds))
    gains = scenario.blind < 1
    challenger = right if gains else right + np.where(new[:, None], 0, APART)
    champion = right * [1, scenario.blind] if gains else BEFORE - np.where(new[:, None], 0, APART)
    return log_loss(x, challenger, label), log_loss(x, np.broadcast_to(champion, x.shape), label), days


def log_loss(x: Floats, coefficients: Floats, label: NDArray[np.bool_]) -> Floats:
    """Return the log loss of each row, in nats."""
    odds = (x * coefficients).sum(axis=1)
    return np.asarray(np.logaddexp(0, np.where(label, -odds, odds)))


@dataclass(frozen=True)
class Outcome:
    """The means over a scenario's trials: the difference, and shares of promotions by rule."""

    difference: float
    promoted: float
    by_pool: float
    whole: float
    independent: float


def outcome(scenario: Scenario, trials: int, seed: Sequence[int]) -> Outcome:
    """Run the trials of one scenario."""
    kept = []
    for sequence in np.random.SeedSequence(seed).spawn(trials):
        challenger, champion, days = trial(scenario, np.random.default_rng(sequence))
        compared = compare_scopes(
            challenger,
            champion,
            days,
            days * FOLDS // scenario.days,
            confidence=POLICY.confidence,
            ordered=True,
            min_rows=POLICY.min_rows,
            min_blocks=POLICY.min_blocks,
        )
        scope = deciding(compared)
        plain, unordered = (
            mean_interval(challenger - champion, days, confidence=POLICY.confidence, ordered=ordered)
            for ordered in (True, False)
        )
        pool = scope is not None and scope.scope == "pool"
        kept.append((plain.mean, scope is not None, pool, plain.high < 0, unordered.high < 0))
    return Outcome(*np.mean(kept, axis=0).tolist())


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    print(
        "| days of a trial | number | ρ | difference | promoted | goal | by the pool | whole | independent |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    missed = 0
    for number, scenario in enumerate(scenarios()):
        trials = options.trials if scenario.goal else round(0.4 * options.trials)
        made = outcome(scenario, trials, [options.seed, number])
        missed += not scenario.least <= made.promoted <= scenario.most
        shares = (f"{share:.1%}" for share in (made.by_pool, made.whole, made.independent))
        print(
            f"| {scenario.title} | {scenario.days} | {scenario.rho:g} | {made.difference:.3f} "
            f"| {made.promoted:.1%} | {scenario.goal} | {' | '.join(shares)} |",
            flush=True,
        )
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
