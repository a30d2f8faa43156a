"""A later file's numbers are read as the schema says, or as the file shows for certain, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mlops.column_formats import NumberFormat
from mlops.schema import Schema
from mlops.tables.file_formats import WrittenOtherwiseError
from mlops.tables.readers import read_batches, read_table

SCHEMA = Schema({"sales": "number", "profit": "number", "kind": "category"}, "y", "regression")
GERMAN = Schema(SCHEMA.features, "y", "regression", formats={"sales": NumberFormat(".", ",")})


def csv(path: Path, sales: list[str], profit: list[str] | None = None, separator: str = ",") -> Path:
    rows = zip(sales, profit or ["1"] * len(sales), strict=True)
    lines = ["sales", "profit", "kind", "y"], *([f'"{a}"', f'"{b}"', "a", "1"] for a, b in rows)
    path.write_text("".join(separator.join(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path, schema: Schema = SCHEMA, rows: int = 1000) -> tuple[pd.DataFrame, list[str]]:
    said: list[str] = []
    return pd.concat(read_batches(path, schema, rows=rows, labelled=True, on_found=said.append)), said


def test_a_file_that_is_written_otherwise_is_read_where_it_is_certain_and_said(tmp_path: Path) -> None:
    frame, said = read(csv(tmp_path / "june.csv", ["1,097.54", "12"]))
    assert frame["sales"].tolist() == [1097.54, 12]
    assert said == ["sales holds numbers with commas between thousands: 1,097.54 is read as 1097.54"]


def test_a_plainly_written_file_is_read_at_once_and_nothing_is_said(tmp_path: Path) -> None:
    frame, said = read(csv(tmp_path / "june.csv", ["1097.54", "12"]))
    assert frame["sales"].tolist() == [1097.54, 12]
    assert not said


def test_points_between_thousands_are_known_by_the_decimal_commas_of_another_column(tmp_path: Path) -> None:
    frame, said = read(csv(tmp_path / "june.csv", ["1.706", "12"], ["41,91", "0,2"], ";"))
    assert frame[["sales", "profit"]].to_numpy().tolist() == [[1706, 41.91], [12, 0.2]]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("sales", "separator"),
    [(["1,706", "2,045"], ";"), (["12.5", "3,5"], ","), (["12 lb", "7 kg"], ","), (["45%", "0.45"], ",")],
)
def test_what_may_be_one_number_or_another_is_refused_by_its_column(
    tmp_path: Path, sales: list[str], separator: str
) -> None:
    with pytest.raises(WrittenOtherwiseError, match="sales looks like numbers, as") as caught:
        read(csv(tmp_path / "june.csv", sales, separator=separator))
    assert caught.value.remedy


def test_a_word_among_plain_numbers_is_left_to_its_row(tmp_path: Path) -> None:
    frame, said = read(csv(tmp_path / "june.csv", ["12.5", "unknown"]))
    assert frame["sales"].tolist() == [12.5, "unknown"]
    assert not said


def test_the_format_that_is_named_is_used_for_a_file_that_could_be_read_otherwise(tmp_path: Path) -> None:
    assert read(csv(tmp_path / "june.csv", ["1.706", "12"]), GERMAN)[0]["sales"].tolist() == [1706, 12]


def test_a_file_that_contradicts_the_format_is_refused_and_not_row_by_row(tmp_path: Path) -> None:
    with pytest.raises(WrittenOtherwiseError, match=r"sales holds 1234\.5, and data\.formats reads sales by"):
        read(csv(tmp_path / "june.csv", ["1.706", "1234.5"]), GERMAN)


def test_a_format_is_widened_by_what_its_first_file_made_no_use_of(tmp_path: Path) -> None:
    schema = Schema(SCHEMA.features, "y", "regression", formats={"sales": NumberFormat("", ",")})
    frame, said = read(csv(tmp_path / "june.csv", ["1.706,5", "12,5"], separator=";"), schema)
    assert frame["sales"].tolist() == [1706.5, 12.5]
    assert said


def test_a_late_value_of_a_file_in_pieces_is_read_and_the_pieces_before_it_stay_right(tmp_path: Path) -> None:
    frame, said = read(csv(tmp_path / "june.csv", ["12", "13", "1,097.54"]), rows=1)
    assert frame["sales"].tolist() == [12, 13, 1097.54]
    assert len(said) == 1


def test_a_late_value_that_would_change_the_pieces_before_it_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(WrittenOtherwiseError, match="more than one way"):
        read(csv(tmp_path / "june.csv", ["1.706", "13", "41,91"], separator=";"), rows=1)


def test_numbers_in_quotes_of_json_lines_are_numbers_of_their_column(tmp_path: Path) -> None:
    rows = [{"sales": "3504", "profit": "1,097.54", "kind": "a", "y": 1.0}, {"sales": 12, "profit": 3}]
    file = tmp_path / "june.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    frame, _ = read(file)
    assert frame["sales"].astype(float).tolist() == [3504, 12]
    assert frame["profit"].astype(float).tolist() == [1097.54, 3]


def test_the_values_of_a_missing_word_do_not_hide_how_the_numbers_are_written(tmp_path: Path) -> None:
    schema = Schema(SCHEMA.features, "y", "regression", missing={"sales": ["-9"]})
    frame = read_table(csv(tmp_path / "june.csv", ["1,097.54", "-9"]), schema, labelled=True)
    assert frame["sales"].tolist()[0] == 1097.54
    assert frame["sales"].isna().tolist() == [False, True]
