"""Dates of every spelling reach the lake as moments, of whatever file."""

from pathlib import Path

import pandas as pd
import pytest

from mlops.column_formats import ColumnFormat, ComposedFormat, DateFormat, EpochFormat, ExcelFormat
from mlops.errors import DataError, MissingColumnError
from mlops.schema import Schema
from mlops.tables.conform import conform, unlabelled
from mlops.tables.readers import read_batches, read_table

MOMENTS = pd.Series(pd.date_range("2013-01-03 15:05", periods=40, freq="37h", tz="UTC"))
SIZES = pd.Series(range(40), dtype="float64")
ENDINGS = ["csv", "parquet", "jsonl"]


def schema(name: str, format: ColumnFormat) -> Schema:
    features = {"size": "number", name: "date"}
    return Schema(features, "late", "binary", time=name, formats={name: format})


def written(frame: pd.DataFrame, file: Path) -> Path:
    frame = frame.assign(size=SIZES, late=[n % 2 == 0 for n in range(40)])
    if file.suffix == ".csv":
        frame.to_csv(file, index=False)
    elif file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=True)
    return file


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("format", "column"),
    [
        (DateFormat(("%d-%b-%Y %H:%M",)), MOMENTS.dt.strftime("%d-%b-%Y %H:%M")),
        (DateFormat(("%Y%m%d%H%M",)), MOMENTS.dt.strftime("%Y%m%d%H%M").astype("int64")),
        (EpochFormat("ms"), MOMENTS.dt.tz_localize(None).astype("datetime64[ms]").astype("int64")),
        (
            ExcelFormat(1900),
            MOMENTS.dt.tz_localize(None).astype("datetime64[s]").astype("int64") / 86_400 + 25_569,
        ),
    ],
)
def test_each_format_is_read_of_each_kind_of_file(
    tmp_path: Path, ending: str, format: ColumnFormat, column: pd.Series
) -> None:
    columns = schema("sold_on", format)
    file = written(pd.DataFrame({"sold_on": column}), tmp_path / f"rows.{ending}")
    rows = conform(read_table(file, columns, labelled=True), columns)
    assert rows["sold_on"].tolist() == MOMENTS.tolist()
    again = conform(rows, columns)  # as rows of the lake are
    assert again["sold_on"].tolist() == MOMENTS.tolist()
    assert unlabelled(rows, columns).times[0] == "2013-01-03T15:05:00+00:00"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_moment_in_several_columns_is_made_of_each_kind_of_file(tmp_path: Path, ending: str) -> None:
    parts = ("year", "month", "day", "hour", "minute")
    columns = schema("time", ComposedFormat(parts))
    table = pd.DataFrame({part: getattr(MOMENTS.dt, part) for part in parts})
    file = written(table, tmp_path / f"rows.{ending}")
    assert conform(read_table(file, columns, labelled=True), columns)["time"].tolist() == MOMENTS.tolist()
    whole = written(pd.DataFrame({"time": MOMENTS.astype(str)}), tmp_path / f"whole.{ending}")
    assert conform(read_table(whole, columns, labelled=True), columns)["time"].tolist() == MOMENTS.tolist()
    few = written(table.drop(columns=["day", "hour"]), tmp_path / f"few.{ending}")
    with pytest.raises(MissingColumnError, match="day") as caught:
        conform(read_table(few, columns, labelled=True), columns)
    assert "time" not in str(caught.value).split("it has")[0]


def test_parts_of_no_day_are_refused_by_their_row(tmp_path: Path) -> None:
    columns = schema("time", ComposedFormat(("year", "month", "day")))
    table = pd.DataFrame({"year": 2013, "month": 2, "day": range(1, 41)})
    with pytest.raises(DataError, match=r"time holds '2013 2 29' in row 28"):
        conform(read_table(written(table, tmp_path / "rows.csv"), columns, labelled=True), columns)


def test_a_later_file_that_writes_its_dates_otherwise_is_read_and_that_is_said(tmp_path: Path) -> None:
    columns = schema("sold_on", DateFormat(("%d/%m/%Y",)))
    file = written(pd.DataFrame({"sold_on": MOMENTS.dt.strftime("%m/%d/%Y")}), tmp_path / "later.csv")
    sentences: list[str] = []
    batches = read_batches(file, columns, rows=1000, labelled=True, on_found=sentences.append)
    rows = conform(pd.concat(batches), columns)
    assert rows["sold_on"].tolist() == MOMENTS.dt.floor("D").tolist()
    assert any("month first" in sentence for sentence in sentences)


def test_a_later_file_whose_dates_could_be_two_is_refused_by_its_rows(tmp_path: Path) -> None:
    columns = Schema({"size": "number", "sold_on": "date"}, "late", "binary", time="sold_on")
    table = pd.DataFrame({"sold_on": [f"{n % 12 + 1:02d}/{n % 9 + 1:02d}/2013" for n in range(40)]})
    with pytest.raises(DataError, match="sold_on holds '01/01/2013'"):
        conform(read_table(written(table, tmp_path / "later.csv"), columns, labelled=True), columns)
