from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops.data.contract import ColumnRule, Contract
from mlops.data.quarantine_bias import QuarantineBias
from mlops.data.validation import Inspection
from mlops.schema import Schema

SCHEMA = Schema(
    {"sales": "number", "units": "number", "region": "category", "when": "date"}, "kept", "binary", key="id"
)
CONTRACT = Contract(
    max_bad=1.0,
    columns={
        "sales": ColumnRule(type="number"),
        "units": ColumnRule(type="number", max=1e6),
        "region": ColumnRule(type="category"),
        "when": ColumnRule(type="date"),
        "kept": ColumnRule(type="label", allowed=("no", "yes")),
    },
)


def orders(rows: int, seed: int) -> pd.DataFrame:
    drawn = np.random.default_rng(seed)
    sales = drawn.lognormal(4, 1.5, rows).round(2)
    return pd.DataFrame(
        {
            "id": [f"o{number}" for number in range(rows)],
            "sales": sales.astype(object),
            "units": (sales / 10 + drawn.normal(0, 3, rows)).round(1),
            "region": drawn.choice(["north", "south", "east", "west"], rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="h").astype(str),
            "kept": drawn.choice(["no", "yes"], rows, p=[0.7, 0.3]),
        }
    )


def biases(table: pd.DataFrame, *, piece: int = 10_000) -> tuple[QuarantineBias, ...]:
    inspection = Inspection(CONTRACT, SCHEMA)
    for begin in range(0, len(table), piece):
        inspection.take(table.iloc[begin : begin + piece])
    return inspection.biases()


def spoilt(table: pd.DataFrame, rows: np.ndarray, column: str = "sales") -> pd.DataFrame:
    values = table[column].astype(object)
    values[rows] = [f"{value:,.2f} about" for value in table.loc[rows, column]]
    return table.assign(**{column: values})


def test_where_bad_rows_are_a_random_part_an_alarm_is_as_rare_as_its_level() -> None:
    alarms = 0
    for seed in range(8):  # benchmarks/quarantine_trials.py has thousands
        drawn = np.random.default_rng(seed)
        table = orders(400, seed)
        alarms += bool(biases(spoilt(table, drawn.random(400) < drawn.choice([0.01, 0.04, 0.15]))))
    assert alarms == 0


def test_where_the_largest_are_lost_the_alarm_names_their_size_with_an_example() -> None:
    table = orders(2000, 1)
    (first, *_) = biases(spoilt(table, (table["sales"] >= 600).to_numpy(bool)))
    assert first.rows.column == "sales"
    assert first.rows.condition.startswith("rows with sales at least ")
    assert first.rows.bad / first.rows.rows > 0.5
    assert first.rows.other_bad < first.rows.bad / 5
    assert first.example.startswith("sales: '")
    assert str(first).startswith("ALARM: quarantine takes no random part of the rows, but ")


@pytest.mark.parametrize(
    ("column", "value", "broken"),
    [("region", "west", "sales"), ("kept", "yes", "sales"), ("region", "east", "units")],
)
def test_where_the_rows_of_one_value_are_lost_the_alarm_names_it(
    column: str, value: str, broken: str
) -> None:
    table = orders(600, 2)
    drawn = np.random.default_rng(2)
    lost = (table[column] == value).to_numpy() & (drawn.random(600) < 0.3)
    (first, *_) = biases(spoilt(table, lost, broken), piece=250)
    assert (first.rows.column, first.rows.condition) == (column, f"rows with {column} {value}")
    assert (first.rows.bad, first.rows.other_bad) == (int(lost.sum()), 0)


def test_a_run_of_bad_rows_is_named_by_its_place_or_its_time() -> None:
    table = orders(1000, 3)
    lost = np.zeros(1000, bool)
    lost[950:] = True
    found = biases(spoilt(table, lost))
    assert {bias.rows.column for bias in found} == {"when", None}
    assert "rows from row 951 to 1,000" in {bias.rows.condition for bias in found}


def test_a_value_that_breaks_its_own_rule_is_no_alarm_by_itself() -> None:
    table = orders(600, 4)
    drawn = np.random.default_rng(4)
    table.loc[drawn.random(600) < 0.05, "units"] = 2e6  # each of them is the largest, by the rule
    table["kept"] = table["kept"].astype(object)
    table.loc[drawn.random(600) < 0.05, "kept"] = "maybe"
    assert biases(table) == ()


def test_rows_that_come_twice_are_no_alarm() -> None:
    contract = CONTRACT.model_copy(update={"unique": ("id",)})
    inspection = Inspection(contract, SCHEMA)
    table = orders(500, 5)
    inspection.take(pd.concat([table, table.iloc[:60]]))
    assert inspection.bad == 60
    assert inspection.biases() == ()
