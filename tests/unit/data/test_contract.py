from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mlops.data.contract import ColumnRule, Contract, infer, load
from mlops.errors import ConfigError
from mlops.schema import Schema

SCHEMA = Schema(
    {"size": "number", "net": "number", "colour": "category", "sort": "category", "wet": "boolean"},
    "ripe",
    "binary",
    time="picked",
    key="plum",
)


@pytest.fixture
def table() -> pd.DataFrame:
    n = 300
    return pd.DataFrame(
        {
            "plum": [f"p{i}" for i in range(n)],
            "picked": pd.date_range("2026-01-01", periods=n, freq="h", tz="UTC"),
            "size": np.linspace(17, 90, n),
            "net": np.linspace(-12.5, 40, n),
            "colour": ["red", "blue", "yes"] * (n // 3),
            "sort": ["rare", *["common"] * (n - 1)],
            "wet": [True, None, False] * (n // 3),
            "ripe": [True, False] * (n // 2),
        }
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "contract.yaml"
    path.write_text(text)
    return path


def test_a_contract_leaves_room_for_the_next_table(table: pd.DataFrame) -> None:
    columns = infer(table, SCHEMA).columns

    assert (columns["size"].min, columns["size"].max) == (0, 170)  # what is never negative stays so
    assert (columns["net"].min, columns["net"].max) == (-65, 93)
    assert columns["size"].nulls == 0.2
    assert columns["wet"].nulls == 0.77
    assert columns["colour"].allowed == ("blue", "red", "yes")
    assert columns["sort"].allowed is None  # what was seen once tells that there is more
    assert columns["ripe"] == ColumnRule(type="label", allowed=(False, True))
    assert (columns["picked"].nulls, columns["plum"].nulls) == (0, 0)
    assert infer(table, SCHEMA).unique == ("plum",)


def test_a_sentinel_is_named_and_widens_no_range(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[[5, 9], "size"] = 999.0
    contract = infer(table, SCHEMA)
    rule = contract.columns["size"]
    assert (rule.min, rule.max, rule.sentinels) == (0, 170, (999.0,))
    assert contract.columns["net"].sentinels is None
    assert "sentinels: [999]}" in contract.to_yaml()
    assert load(written(tmp_path, contract.to_yaml()), SCHEMA) == contract


def test_only_a_number_has_sentinels() -> None:
    with pytest.raises(ValidationError, match="no sentinels for a category"):
        ColumnRule(type="category", sentinels=(999.0,))


def test_a_key_that_came_twice_is_not_asked_to_be_unique(table: pd.DataFrame) -> None:
    assert infer(table.assign(plum="p"), SCHEMA).unique == ()


def test_a_column_that_says_nothing_yet_gets_no_range(table: pd.DataFrame) -> None:
    columns = infer(table.assign(size=3.0, net=np.nan, colour=""), SCHEMA).columns

    assert (columns["size"].min, columns["size"].max) == (None, None)
    assert (columns["net"].min, columns["net"].nulls) == (None, 1)
    assert (columns["colour"].allowed, columns["colour"].nulls) == (None, 1)


def test_what_is_written_is_what_is_read(tmp_path: Path, table: pd.DataFrame) -> None:
    contract = infer(table, SCHEMA)
    assert load(written(tmp_path, contract.to_yaml()), SCHEMA) == contract


def test_every_rule_and_odd_name_survives_the_file(tmp_path: Path) -> None:
    schema = Schema(
        {"Höhe in cm": "number", "a.b": "category", "on": "text", "2013": "date"}, "y", "regression", "t"
    )
    contract = Contract(
        policy="refuse",
        max_bad=0.05,
        rows={"min": 10, "max": 20},
        freshness=timedelta(hours=36),
        unique=("a.b",),
        columns={
            "Höhe in cm": {"type": "number", "nulls": 0.05, "min": -1.5, "max": 2e9},
            "a.b": {"type": "category", "allowed": ["yes", "7", "null", "ü: #"]},
            "on": {"type": "text"},
            "2013": {"type": "date", "min": datetime(2013, 1, 1, tzinfo=UTC)},
            "y": {"type": "number", "nulls": 0},
            "extra": {"type": "boolean"},
        },
    )
    assert load(written(tmp_path, contract.to_yaml()), schema) == contract


def test_a_day_is_a_moment_in_utc(tmp_path: Path) -> None:
    text = "columns:\n  picked: {type: date, min: 2013-07-04, max: '2014-01-01T00:00'}\n"
    rule = load(written(tmp_path, text), SCHEMA).columns["picked"]
    assert rule.min == datetime(2013, 7, 4, tzinfo=UTC)
    assert rule.max == datetime(2014, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "contract.yaml: line 1"),
        ("", "contract.yaml: the file: got None"),
        ("columns: {}", "columns: got {}, allowed: "),
        ("policy: drop\ncolumns: {a: {type: text}}", "policy: got 'drop', allowed: 'quarantine' or 'refuse'"),
        (
            "maxbad: 1\ncolumns: {a: {type: text}}",
            "maxbad: got 'maxbad', allowed: version, policy, max_bad, rows",
        ),
        ("rows: {most: 1}\ncolumns: {a: {type: text}}", "rows.most: got 'rows.most', allowed: min, max"),
        ("columns: {size: {type: number, nul: 1}}", "columns.size.nul: .* allowed: type, nulls, min"),
        ("columns: {size: {type: number, nulls: 2}}", "columns.size.nulls: got 2, allowed: less than"),
        ("columns: {size: {type: number, min: low}}", "columns.size.min: got 'low'"),
        (
            "columns: {colour: {type: category, min: 3}}",
            "columns.colour: .* min and max of the column's type",
        ),
        ("columns: {g: {type: label, min: 1}}", "columns.g: .* numbers for number, times for date"),
        ("columns: {ripe: {type: label, max: 1}}", "columns.ripe: .* min and max"),
        ("columns: {size: {type: number, allowed: [1]}}", "no list of values for a number"),
        ("columns: {colour: {type: category, allowed: [true, false]}}", "in quotes"),
        ("columns: {size: {type: category}}", "columns.size.type: got 'category', allowed: number"),
        ("columns: {ripe: {type: category}}", "columns.ripe.type: got 'category', allowed: label"),
        ("columns: {picked: {type: text}}", "columns.picked.type: got 'text', allowed: date"),
        ("unique: [nobody]\ncolumns: {size: {type: number}}", "unique: got 'nobody', allowed: size"),
        ("freshness: soon\ncolumns: {a: {type: text}}", "freshness: got 'soon', allowed: a duration"),
        ("columns:\n  size:", "columns.size: got None"),
        ("columns: {size: {nulls: 0}}", "columns.size.type: got 'nothing'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_path(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, text), SCHEMA)


def test_freshness_needs_a_time(tmp_path: Path) -> None:
    path = written(tmp_path, "freshness: 1d\ncolumns: {size: {type: number}}")
    with pytest.raises(ConfigError, match="freshness"):
        load(path, Schema({"size": "number"}, "ripe", "binary"))
    assert load(path, SCHEMA).freshness == timedelta(days=1)


def test_a_contract_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.contract: .*none\.yaml"):
        load(tmp_path / "none.yaml", SCHEMA)


def test_columns_that_were_left_out_as_constant_are_remembered_with_their_value(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0], "ripe": [True, False]})
    schema = Schema({"size": "number"}, "ripe", "binary")
    made = infer(frame, schema, constant={"country": "DE", "on": "7", "remarks": None})
    file = written(tmp_path, made.to_yaml())
    assert load(file, schema).constant == {"country": "DE", "on": "7", "remarks": None}
    assert "constant" not in infer(frame, schema).to_yaml()
