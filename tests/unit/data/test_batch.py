from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from mlops.data import batch
from mlops.data.batch import examine
from mlops.data.contract import Contract, infer
from mlops.data.lake import Lake
from mlops.errors import DataError
from mlops.schema import Schema

SCHEMA = Schema({"size": "number", "code": "category"}, "ripe", "binary", time="picked", key="plum")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
N = 60


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plum": [f"p{i}" for i in range(N)],
            "picked": pd.date_range("2026-01-20", periods=N, freq="D", tz="UTC"),
            "size": [i / 7 for i in range(N)],
            "code": [f"{i % 3:02d}" for i in range(N)],
            "ripe": [None] * 30 + [True, False] * 15,
        }
    )


@pytest.fixture
def contract(table: pd.DataFrame) -> Contract:
    return infer(table, SCHEMA)


@pytest.fixture
def in_sevens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_ROWS", 7)


def taken(file: Path, lake: Lake, contract: Contract | None = None) -> tuple[batch.Report, pd.DataFrame]:
    with lake.staging() as staging:
        report = examine(file, file.name, SCHEMA, contract, now=NOW, staging=staging)
        lake.publish(staging)
    return report, lake.read(SCHEMA)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.xz", "t.csv.bz2", "t.parquet", "t.jsonl"])
def test_a_table_in_pieces_is_the_table_at_once(
    tmp_path: Path, table: pd.DataFrame, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name
    if ".csv" in name:
        table.to_csv(file, index=False)
    elif "jsonl" in name:
        table.assign(picked=table["picked"].astype(str)).to_json(file, orient="records", lines=True)
    else:
        table.to_parquet(file)
    report, at_once = taken(file, Lake(tmp_path / "one"))
    monkeypatch.setattr(batch, "_ROWS", 7)
    pieces, in_pieces = taken(file, Lake(tmp_path / "other"))

    pd.testing.assert_frame_equal(in_pieces, at_once)
    assert at_once["ripe"].tolist() == [None] * 30 + [True, False] * 15
    assert (report.rows, pieces.rows) == (N, N)


def test_a_code_keeps_its_zeros_whatever_else_its_column_holds(
    tmp_path: Path, table: pd.DataFrame, in_sevens: None
) -> None:
    file = tmp_path / "t.csv"
    table.to_csv(file, index=False)
    _, rows = taken(file, Lake(tmp_path / "numbers"))
    assert set(rows["code"]) == {"00", "01", "02"}
    table.loc[N - 1, "code"] = "x"
    table.to_csv(file, index=False)
    _, rows = taken(file, Lake(tmp_path / "text"))
    assert set(rows["code"]) == {"00", "01", "02", "x"}


def test_a_field_that_json_lines_leave_out_is_missing_where_it_may_be(
    tmp_path: Path, table: pd.DataFrame, contract: Contract
) -> None:
    file = tmp_path / "t.jsonl"
    table.drop(columns="code").astype({"picked": str}).to_json(file, orient="records", lines=True)
    lake = Lake(tmp_path / "lake")
    report = examine(file, "t", SCHEMA, contract, now=NOW)
    assert report.refusals[0].startswith("There is no column code")  # some of it must be there
    rules = {**contract.columns, "code": contract.columns["code"].model_copy(update={"nulls": 1.0})}
    loose = contract.model_copy(update={"columns": rules})
    report, rows = taken(file, lake, loose)
    assert (report.refusals, report.bad, set(rows["code"])) == ((), 0, {""})
    table.drop(columns="code").to_csv(tmp_path / "t.csv", index=False)
    report = examine(tmp_path / "t.csv", "t", SCHEMA, loose, now=NOW)
    assert report.refusals[0].startswith("There is no column code")  # a CSV leaves nothing out


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_nothing_but_spaces_is_a_missing_number(tmp_path: Path, table: pd.DataFrame, name: str) -> None:
    file, odd = tmp_path / name, table.astype({"size": object, "picked": str})
    odd["size"] = [" ", "  ", *([None] * (N - 2))]
    if name == "t.csv":
        odd.to_csv(file, index=False)
    elif name == "t.parquet":
        odd.to_parquet(file)
    else:
        odd.to_json(file, orient="records", lines=True)
    contract = infer(table, SCHEMA)
    report, rows = taken(file, Lake(tmp_path / "lake"), contract)
    assert (report.bad, rows["size"].isna().all()) == (0, True)
    assert report.refusals == ("size is missing in 100.0% of the rows; nulls allows 20.0%.",)


def test_bad_rows_are_set_aside_as_they_came_and_can_be_taken_once_mended(
    tmp_path: Path, table: pd.DataFrame, contract: Contract, in_sevens: None
) -> None:
    file, lake, aside = tmp_path / "t.jsonl", Lake(tmp_path / "lake"), io.StringIO()
    rows = json.loads(table.astype({"picked": str}).to_json(orient="records"))
    rows[3]["size"], rows[50]["picked"] = "big", "soon"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with lake.staging() as staging:
        report = examine(file, "t", SCHEMA, contract, now=NOW, staging=staging, quarantine=aside)
        lake.publish(staging)
    told = [json.loads(line) for line in aside.getvalue().splitlines()]

    assert (report.rows, report.bad, len(lake.read(SCHEMA))) == (N, 2, N - 2)
    assert [row.pop("reason") for row in told] == [
        "size: 'big' is not a number",
        "picked: 'soon' is not a time such as 2013-07-04T15:00:00Z",
    ]
    assert told == [rows[3], rows[50]]
    told[0]["size"], told[1]["picked"] = 2.5, "2026-03-10T00:00:00Z"
    mended = tmp_path / "mended.jsonl"
    mended.write_text("".join(json.dumps({**row, "reason": "was bad"}) + "\n" for row in told))
    report, rows_now = taken(mended, lake, contract)
    assert (report.bad, len(rows_now)) == (0, N)


def test_without_a_contract_the_first_bad_value_refuses(tmp_path: Path, table: pd.DataFrame) -> None:
    file = tmp_path / "t.csv"
    table.astype(object).assign(size="big").to_csv(file, index=False)
    report = examine(file, "t", SCHEMA, None, now=NOW)
    assert isinstance(report.error, DataError)
    assert report.refusals == ("size holds 'big' in row 0, which is not a number.",)


def test_labels_of_two_types_are_found_in_whatever_piece_they_are(
    tmp_path: Path, table: pd.DataFrame, in_sevens: None
) -> None:
    file = tmp_path / "t.jsonl"
    odd = table.astype({"picked": str, "ripe": object})
    odd.loc[N - 7 :, "ripe"] = "yes"
    odd.to_json(file, orient="records", lines=True)
    assert "labels of the types bool, str" in examine(file, "t", SCHEMA, None, now=NOW).refusals[0]


def test_one_bad_number_to_predict_is_one_bad_row(tmp_path: Path) -> None:
    schema = Schema({"size": "number"}, "weight", "regression")
    table = pd.DataFrame({"size": range(N), "weight": range(N)})
    contract, file = infer(table, schema), tmp_path / "t.csv"
    table.astype(object).replace({"weight": {3: "heavy"}}).to_csv(file, index=False)
    report = examine(file, "t", schema, contract, now=NOW)
    assert (report.bad, str(report.reasons[0])) == (1, "weight is not a number: 1 row, as 'heavy'")


def test_without_its_columns_a_table_is_not_read_to_its_end(
    tmp_path: Path, table: pd.DataFrame, contract: Contract, in_sevens: None
) -> None:
    file = tmp_path / "t.csv"
    table.drop(columns="size").to_csv(file, index=False)
    report = examine(file, "t", SCHEMA, contract, now=NOW)
    assert (report.rows, report.bad) == (7, 0)
    assert report.refusals[0].startswith("There is no column size")
    assert report.text().startswith("t: refused")


def test_rows_without_a_target_wait_for_their_labels(
    tmp_path: Path, table: pd.DataFrame, contract: Contract
) -> None:
    file = tmp_path / "t.csv"
    table.drop(columns="ripe").to_csv(file, index=False)
    report, rows = taken(file, Lake(tmp_path / "lake"), contract)
    assert rows["ripe"].isna().all()
    assert report.notes == ("t.csv has no column ripe: its rows wait for their labels",)


def test_what_refuses_nothing_is_said_of_a_table_and_its_bad_rows(
    tmp_path: Path, table: pd.DataFrame, contract: Contract, in_sevens: None
) -> None:
    file = tmp_path / "t.csv"
    odd = table.assign(country=["DE"] * (N - 30) + ["FR"] * 30, note="").astype(object)
    lost = (odd["size"] >= odd["size"].quantile(0.9)).to_numpy()
    odd.loc[lost, "size"] = [f"~{value}~" for value in odd.loc[lost, "size"]]
    odd.loc[N - 1, "code"] = "Total"
    odd.to_csv(file, index=False)
    watched = contract.model_copy(update={"constant": {"country": "DE", "note": None}})
    report = examine(file, "t", SCHEMA, watched, now=NOW)

    (country,) = (note for note in report.notes if note.startswith("country was DE"))
    assert f"varies now: FR in 30 of {N} rows" in country
    assert any(note.startswith(f"row {N} of t looks like a total") for note in report.notes)
    assert report.biases[0].rows.bad >= 5
    assert "ALARM: quarantine takes no random part" in report.text()
    assert "~' is not a number" in report.to_dict()["biases"][0]["example"]
