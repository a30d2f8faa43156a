"""Small tables whose numbers are written as people write them: what a new project makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from mlops.column_formats import NumberFormat
from mlops.errors import DataError
from mlops.project.init import profiled
from mlops.scaffold.profile import Profile
from mlops.scaffold.profile_options import ProfileOptions
from mlops.tables.readers import read_table

N = 60


def table(folder: Path, separator: str = ",", **columns: Sequence[str]) -> Path:
    frame = pd.DataFrame(
        {name: [values[i % len(values)] for i in range(N)] for name, values in columns.items()}
    )
    frame["category"] = ["desk", "chair", "lamp"] * (N // 3)
    frame.to_csv(folder / "sales.csv", sep=separator, index=False)
    return folder / "sales.csv"


def profile_of(file: Path, target: str = "profit") -> Profile:
    return profiled([file], ProfileOptions(target))[1]


PROFIT = [f"{i * 7 % 50}.25" for i in range(N)]


def test_the_largest_sales_are_read_and_not_lost_where_they_alone_have_separators(tmp_path: Path) -> None:
    sales = [f"{i * 13 % 900}.5" for i in range(N - 3)] + ["1,097.54", "2,000.00", "1,706.18"]
    file = table(tmp_path, sales=sales, profit=PROFIT)
    profile = profile_of(file)
    assert profile.schema().formats == {"sales": NumberFormat(",")}
    assert any("1,097.54 is read as 1097.54" in each or "1,706.18" in each for each in profile.decided)
    read = read_table(file, profile.schema(), labelled=True)["sales"]
    assert (read.max(), len(read), read.isna().sum()) == (2000.0, N, 0)


def test_a_comma_before_three_digits_is_not_advised_to_be_a_decimal(tmp_path: Path) -> None:
    file = table(tmp_path, sales=["1,706", "1,045", "3,083"], profit=PROFIT)
    profile = profile_of(file)
    assert read_table(file, profile.schema())["sales"].unique().tolist() == [1706, 1045, 3083]
    assert not any("decimal comma" in sentence for sentence in profile.decided)


def test_german_thousands_are_no_fractions_where_another_column_has_decimal_commas(tmp_path: Path) -> None:
    file = table(tmp_path, ";", sales=["1.706", "262", "15"], profit=["41,91", "0,2", "7,5", "3,25"])
    profile = profile_of(file, "sales")
    assert read_table(file, profile.schema(), labelled=True)["sales"].unique().tolist() == [1706, 262, 15]
    assert profile.task == "regression"


def test_the_same_sales_without_other_evidence_are_asked_about(tmp_path: Path) -> None:
    file = table(tmp_path, ";", sales=["1.706", "262", "15"], profit=[str(i) for i in range(N)])
    with pytest.raises(DataError, match=r"sales .*1\.706 may be 1\.706 or 1706") as caught:
        profile_of(file)
    assert "--format 'sales=" in str(caught.value.remedy)


def test_money_percent_units_and_spaces_are_numbers_and_said(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        profit=PROFIT,
        price=["$1,097.54", "$5", "($383.03)"],
        rebate=["45%", "0%", "12.5%"],
        weight=["3504 lb", "1590 lb"],
        area=["1\u202f555,20", "26\u202f196,00"],
    )
    profile = profile_of(file)
    kinds = {feature.name: feature.type for feature in profile.features}
    assert {kinds[name] for name in ("price", "rebate", "weight", "area")} == {"number"}
    read = read_table(file, profile.schema())
    assert read["price"].unique().tolist() == [1097.54, 5, -383.03]
    assert read["rebate"].unique().tolist() == [45, 0, 12.5]
    assert read["area"].unique().tolist() == [1555.2, 26196]
    for name in ("price", "rebate", "weight", "area"):
        assert any(sentence.startswith(f"{name} holds numbers with") for sentence in profile.decided)


def test_nobody_is_advised_to_empty_values(tmp_path: Path) -> None:
    sales = ["12.5", "n.a. (see note)", "unknown to us", "7.25", "3.5", "9.75"]
    profile = profile_of(table(tmp_path, sales=sales, profit=PROFIT))
    assert not any("empty" in sentence for sentence in (*profile.decided, *profile.left_out.values()))
