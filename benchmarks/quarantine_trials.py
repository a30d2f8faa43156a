"""How often a random quarantine raises an alarm, and how often one that is no random part of its batch does.

    .venv/bin/python benchmarks/quarantine_trials.py [--trials 1000] [--seed 20130105]

Each trial draws a batch of orders, spoils some of its rows as a scenario has it, and counts the alarms of
`mlops.data.quarantine_bias`. The seed was fixed before the rule was tried on it. The printed table is
benchmarks/results/quarantine_trials.md. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.data.quarantine_bias import LEVEL, BiasTest
from mlops.schema import Schema

SEED = 20130105
SCHEMA = Schema(
    {"sales": "number", "units": "number", "region": "category", "when": "date"}, "kept", "binary"
)
Bools = NDArray[np.bool_]
Lost = Callable[[pd.DataFrame, np.random.Generator], Bools]


def _at_random(share: float) -> Lost:
    return lambda table, drawn: drawn.random(len(table)) < share


def _more_often(of: Callable[[pd.DataFrame], pd.Series], share: float, elsewhere: float = 0.01) -> Lost:
    return lambda table, drawn: drawn.random(len(table)) < np.where(of(table), share, elsewhere)


SCENARIOS: dict[str, tuple[Lost, float]] = {
    "random, 1%": (_at_random(0.01), -LEVEL),
    "random, 5%": (_at_random(0.05), -LEVEL),
    "random, 15%": (_at_random(0.15), -LEVEL),
    "all sales of 600 and more": (_more_often(lambda rows: rows["sales"] >= 600, 1.0, 0.0), 0.95),
    "half of them, and 1% elsewhere": (_more_often(lambda rows: rows["sales"] >= 600, 0.5), 0.9),
    "a third of one region, and 1% elsewhere": (
        _more_often(lambda rows: rows["region"] == "west", 0.33),
        0.95,
    ),
    "a fifth of one label, and 1% elsewhere": (_more_often(lambda rows: rows["kept"] == "yes", 0.2), 0.95),
    "the last tenth of the rows": (_more_often(lambda rows: rows.index >= 0.9 * len(rows), 1.0, 0.0), 0.95),
}
"""What is lost, and the share of batches with an alarm: at least, or at most where negative."""


def batch(rows: int, drawn: np.random.Generator) -> pd.DataFrame:
    """Draw orders: units follow sales, region and label are independent of both."""
    sales = drawn.lognormal(4, 1.5, rows).round(2)
    return pd.DataFrame(
        {
            "sales": sales,
            "units": (sales / 10 + drawn.normal(0, 3, rows)).round(1),
            "region": drawn.choice(["north", "south", "east", "west"], rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"),
            "kept": drawn.choice(["no", "yes"], rows, p=[0.7, 0.3]),
        }
    )


def is_alarm(table: pd.DataFrame, lost: Bools) -> bool:
    """Tell whether a batch raises an alarm whose lost rows hold sales that are no number."""
    raw = table["sales"].astype(object)
    raw[lost] = [f"{value:,.2f} about" for value in table.loc[lost, "sales"]]
    test = BiasTest(SCHEMA)
    reasons = np.where(lost, "sales is not a number", "").astype(object)
    known = table.assign(sales=table["sales"].mask(lost))
    test.take(table.assign(sales=raw), known, [("sales", lost, "not a number")], reasons)
    return bool(test.findings())


def main() -> int:
    """Print the table; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    missed = 0
    print(f"{options.trials:,} batches a row, seed {options.seed}.\n")
    print("| lost | rows of a batch | batches with an alarm | goal |\n|---|---|---|---|")
    for number, (name, (lost, goal)) in enumerate(SCENARIOS.items()):
        for rows in (300, 2000):
            drawn = np.random.default_rng([options.seed, number, rows])
            tables = (batch(rows, drawn) for _ in range(options.trials))
            share = float(np.mean([is_alarm(table, lost(table, drawn)) for table in tables]))
            reached = share <= -goal if goal < 0 else share >= goal
            missed += not reached
            limit = f"at most {-goal:.0%}" if goal < 0 else f"at least {goal:.0%}"
            print(f"| {name} | {rows:,} | {share:.1%} | {limit}{'' if reached else ', missed'} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
