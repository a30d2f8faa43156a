from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.contract import ColumnRule, Contract, infer
from mlops.data.validation import REASON, Inspection, check
from mlops.schema import Schema
from mlops.tables.conform import conform
from mlops.tables.readers import read_table

SCHEMA = Schema(
    {"size": "number", "colour": "category", "wet": "boolean", "note": "text", "sown": "date"},
    "ripe",
    "binary",
    time="picked",
    key="plum",
)
NOW = datetime(2026, 2, 1, tzinfo=UTC)
N = 200


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plum": [f"p{i}" for i in range(N)],
            "picked": [f"2026-01-{1 + i % 28:02d}T00:00:00Z" for i in range(N)],
            "size": np.linspace(1.0, 9.0, N),
            "colour": ["red", "blue"] * (N // 2),
            "wet": [True, False] * (N // 2),
            "note": [f"plum number {i}" for i in range(N)],
            "sown": ["2025-03-01"] * N,
            "ripe": [True, False] * (N // 2),
        }
    ).astype(object)


@pytest.fixture
def contract(table: pd.DataFrame) -> Contract:
    return infer(table, SCHEMA)


def changed(contract: Contract, **rules: Any) -> Contract:
    """The contract with other rules for its columns, or of its own."""
    own = {key: value for key, value in rules.items() if key in Contract.model_fields}
    columns = {name: rule.model_copy(update=rules.get(name, {})) for name, rule in contract.columns.items()}
    return Contract(
        **{**contract.model_dump(), **own, "columns": {n: r.model_dump() for n, r in columns.items()}}
    )


def test_the_table_it_was_inferred_from_keeps_a_contract(table: pd.DataFrame, contract: Contract) -> None:
    checked = check(table, contract, SCHEMA, NOW)

    assert (len(checked.good), len(checked.bad)) == (N, 0)
    assert (checked.reasons, checked.refusals) == ((), ())
    assert conform(checked.good, SCHEMA).equals(conform(table, SCHEMA))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("size", "abc", "size: 'abc' is not a number"),
        ("size", np.inf, "size: inf is not a finite number"),
        ("size", 1e9, "size: 1000000000.0 is more than 17"),
        ("size", -1, "size: -1 is less than 0"),
        ("colour", "pink", "colour: 'pink' is none of blue, red"),
        ("colour", True, "colour: True is none of blue, red"),
        ("wet", "maybe", "wet: 'maybe' is not true or false"),
        ("sown", "29.2.2025", "sown: '29.2.2025' is not a time"),
        ("ripe", "perhaps", "ripe: 'perhaps' is none of False, True"),
        ("picked", "soon", "picked: 'soon' is not a time"),
        ("picked", None, "picked: None is not a time"),
        ("plum", None, "plum: None is not a key"),
        ("plum", "p9", "plum: 'p9' is not unique"),
    ],
)
def test_a_row_that_breaks_a_rule_is_bad_and_the_rest_goes_on(
    table: pd.DataFrame, contract: Contract, column: str, value: object, reason: str
) -> None:
    table.loc[40, column] = value
    checked = check(table, contract, SCHEMA, NOW)

    assert checked.bad[REASON].tolist()[0].startswith(reason)
    assert checked.bad.index.tolist() == [40]
    assert checked.bad[column].tolist() == [value]  # as it came
    assert len(conform(checked.good, SCHEMA)) == N - 1
    assert checked.refusals == ()


def test_a_sentinel_is_allowed_outside_of_the_range(table: pd.DataFrame, contract: Contract) -> None:
    table.loc[3, "size"], table.loc[7, "size"] = 999.0, 998.0
    checked = check(table, changed(contract, size={"sentinels": (999.0,)}), SCHEMA, NOW)
    assert checked.bad.index.tolist() == [7]
    assert check(table, contract, SCHEMA, NOW).bad.index.tolist() == [3, 7]


def test_a_word_for_a_missing_value_is_quarantined_with_what_to_write(
    table: pd.DataFrame, contract: Contract
) -> None:
    size = table["size"].where(~table.index.isin([3, 4, 5]), "?")
    size[7] = "big"
    found = check(table.assign(size=size), contract, SCHEMA, NOW)
    assert [(str(each), each.rows) for each in found.reasons] == [
        ("size is not a number (if it is missing: data.missing, {size: ['?']}): 3 rows, as '?'", 3),
        ("size is not a number: 1 row, as 'big'", 1),
    ]
    assert (
        found.bad[REASON].iloc[0]
        == "size: '?' is not a number (if it is missing: data.missing, {size: ['?']})"
    )
    named = replace(SCHEMA, missing={"size": ("?",)})
    assert len(check(table.assign(size=size), contract, named, NOW).bad) == 1


def test_a_row_tells_all_that_is_wrong_with_it(table: pd.DataFrame, contract: Contract) -> None:
    table.loc[0, ["size", "colour"]] = ["abc", "pink"]
    table.loc[1, "colour"] = "green"
    checked = check(table, contract, SCHEMA, NOW)

    assert (
        checked.bad[REASON].tolist()[0] == "size: 'abc' is not a number; colour: 'pink' is none of blue, red"
    )
    assert [str(reason) for reason in checked.reasons] == [
        "colour is none of blue, red: 2 rows, as 'pink'",
        "size is not a number: 1 row, as 'abc'",
    ]


def test_a_missing_value_makes_its_row_bad_only_where_none_may_be_missing(
    table: pd.DataFrame, contract: Contract
) -> None:
    table.loc[3, "size"] = None
    table.loc[4, "colour"] = ""
    assert len(check(table, contract, SCHEMA, NOW).bad) == 0
    strict = changed(contract, size={"nulls": 0}, colour={"nulls": 0})
    assert check(table, strict, SCHEMA, NOW).bad[REASON].tolist() == [
        "size: is missing",
        "colour: is missing",
    ]


def test_too_large_a_share_of_missing_values_refuses_the_batch(
    table: pd.DataFrame, contract: Contract
) -> None:
    table.loc[:39, "size"] = None
    assert check(table, contract, SCHEMA, NOW).refusals == ()  # 20% may be
    table.loc[40, "size"] = None
    assert check(table, contract, SCHEMA, NOW).refusals == (
        "size is missing in 20.5% of the rows; nulls allows 20.0%.",
    )


def test_too_many_bad_rows_refuse_the_batch_and_under_refuse_a_single_one(
    table: pd.DataFrame, contract: Contract
) -> None:
    table.loc[:39, "size"] = "x"
    assert check(table, contract, SCHEMA, NOW).refusals == ()
    table.loc[40, "size"] = "x"
    assert "max_bad allows 20.0%" in check(table, contract, SCHEMA, NOW).refusals[0]
    table.loc[1:40, "size"] = 1
    assert "policy is refuse" in check(table, changed(contract, policy="refuse"), SCHEMA, NOW).refusals[0]


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ({"rows": {"min": 201}}, "There are 200 rows; rows allows at least 201."),
        ({"rows": {"min": 1, "max": 199}}, "There are 200 rows; rows allows 1 to 199."),
        (
            {"freshness": "3d"},
            "The newest row is of 2026-01-28 00:00, at 2026-02-01 00:00; freshness allows 3 days",
        ),
    ],
)
def test_the_batch_as_a_whole_has_rules(
    table: pd.DataFrame, contract: Contract, rule: dict[str, Any], refusal: str
) -> None:
    assert check(table, changed(contract, **rule), SCHEMA, NOW).refusals[0].startswith(refusal)
    room = {"rows": {"min": 200, "max": 200}, "freshness": "4d"}
    assert check(table, changed(contract, **room), SCHEMA, NOW).refusals == ()


def test_a_column_that_is_not_there_refuses_the_batch(table: pd.DataFrame, contract: Contract) -> None:
    checked = check(table.drop(columns=["size", "wet"]), contract, SCHEMA, NOW)
    assert checked.refusals[0].startswith("There is no column size, wet; there are plum, picked, colour")


def test_labels_may_come_late_unless_the_contract_asks_for_each(
    table: pd.DataFrame, contract: Contract
) -> None:
    late = table.drop(columns="ripe")
    assert check(late, contract, SCHEMA, NOW).refusals == ()
    asked = changed(contract, ripe={"nulls": 0})
    assert "no column ripe" in check(late, asked, SCHEMA, NOW).refusals[0]


@pytest.mark.parametrize(
    ("allowed", "given", "read"),
    [
        ([True, False], ["true", "FALSE", True, None], [True, False, True, None]),
        ([True, False], [1, "0", 0.0, None], [True, False, False, None]),
        ([True, False], ["1.0", "0.0", "1", None], [True, False, True, None]),
        ([0, 1], ["1", 0.0, 1, None], [1, 0, 1, None]),
        ([-1, 1], ["1.0", "-1.0", "1", None], [1, -1, 1, None]),
        (["1", "1.0"], ["1", "1.0", "1", None], ["1", "1.0", "1", None]),
        (["yes", "no"], ["yes", "no", "yes", None], ["yes", "no", "yes", None]),
        (["1", "2"], [1, "2", 2.0, None], ["1", "2", "2", None]),
    ],
)
def test_labels_are_spelled_as_the_contract_does(
    table: pd.DataFrame, contract: Contract, allowed: list[Any], given: list[Any], read: list[Any]
) -> None:
    ruled = changed(contract, ripe={"allowed": tuple(allowed)})
    checked = check(table.head(4).assign(ripe=given), ruled, SCHEMA, NOW)
    assert checked.good["ripe"].tolist() == read
    assert [type(value) for value in checked.good["ripe"]] == [type(value) for value in read]


def test_one_stray_label_of_a_csv_leaves_the_others_good(tmp_path: Path) -> None:
    file, schema = tmp_path / "t.csv", Schema({"size": "number"}, "ripe", "binary")
    file.write_text("size,ripe\n1,0.0\n2,1.0\n3,\n4,?\n")
    rules = {"size": ColumnRule(type="number"), "ripe": ColumnRule(type="label", allowed=(0, 1))}
    checked = check(read_table(file, schema, labelled=True), Contract(columns=rules), schema, NOW)
    assert checked.good["ripe"].tolist() == [0, 1, None]
    assert checked.bad[REASON].tolist() == ["ripe: '?' is none of 0, 1"]


def test_columns_that_only_the_contract_names_are_held_to_it(table: pd.DataFrame, contract: Contract) -> None:
    wider = Contract(
        **{
            **contract.model_dump(),
            "columns": {
                **contract.model_dump()["columns"],
                "id": {"type": "number", "max": 5},
                "seen": {"type": "date", "nulls": 1},
            },
        }
    )
    table = table.assign(id=1, seen=None).astype(object)
    table.loc[1, "id"] = 6
    table.loc[2, "seen"] = "never"
    reasons = check(table, wider, SCHEMA, NOW).bad[REASON].tolist()
    assert reasons[0] == "id: 6 is more than 5"
    assert reasons[1].startswith("seen: 'never' is not a time")
    assert "no column id" in check(table.drop(columns="id"), wider, SCHEMA, NOW).refusals[0]


def test_in_pieces_a_table_is_judged_as_in_one(table: pd.DataFrame, contract: Contract) -> None:
    table.loc[5, "size"] = "abc"
    table.loc[150, "plum"] = "p3"  # the first is in another piece
    table.loc[60:100, "colour"] = None
    whole = check(table, contract, SCHEMA, NOW)
    pieces = Inspection(contract, SCHEMA)
    taken = [pieces.take(table[i : i + 30]) for i in range(0, N, 30)]

    assert pd.concat([bad for _, bad in taken])[REASON].tolist() == whole.bad[REASON].tolist()
    assert pd.concat([good for good, _ in taken])["plum"].tolist() == whole.good["plum"].tolist()
    assert pieces.reasons() == whole.reasons
    assert pieces.refusals(NOW) == whole.refusals
    assert whole.refusals[0].startswith("colour is missing in 20.5%")


def test_times_keep_their_zone_in_a_process_that_has_checked(table: pd.DataFrame, contract: Contract) -> None:
    check(table, contract, SCHEMA, NOW)
    noon = datetime.fromisoformat("2026-01-01T12:00:00+02:00")
    assert pa.array([noon], pa.timestamp("us", "UTC"))[0].as_py() == noon


def test_a_column_of_the_tables_own_that_is_called_reason_stays(
    table: pd.DataFrame, contract: Contract
) -> None:
    table.loc[3, "size"] = "big"
    bad = check(table.assign(reason="moved away"), contract, SCHEMA, NOW).bad
    assert bad["reason"].tolist() == ["moved away"]
    assert bad["_reason"].tolist() == ["size: 'big' is not a number"]


@given(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=12))
def test_a_key_is_told_again_in_whatever_piece_it_comes(pieces: list[list[int]]) -> None:
    rules = Contract(columns={"plum": ColumnRule(type="key")}, unique=("plum",), max_bad=1.0)
    inspection = Inspection(rules, Schema({"size": "number"}, "ripe", "binary", key="plum"))
    seen: set[int] = set()
    for piece in pieces:
        size = len(piece)
        frame = pd.DataFrame({"plum": [f"p{n}" for n in piece], "size": [1.0] * size, "ripe": [True] * size})
        good, bad = inspection.take(frame)
        first = [n for n in dict.fromkeys(piece) if n not in seen]
        assert good["plum"].tolist() == [f"p{n}" for n in first]
        assert len(bad) == size - len(first)
        seen.update(piece)
