from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import DataError
from mlops.schema import Schema
from mlops.tables import readers
from mlops.tables.readers import read_batches, read_table

TABLE = pd.DataFrame({"id": ["007", "b"], "size": [1.5, None], "at": ["2013-01-01T00:00:00Z"] * 2})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.parquet", "t.jsonl", "t.jsonl.gz"])
def test_a_table_is_read_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if ".csv" in name:
        TABLE.to_csv(path, index=False)
    elif "json" in name:
        TABLE.to_json(path, orient="records", lines=True)
    else:
        TABLE.to_parquet(path)
    read = read_table(path, SCHEMA)

    assert read["size"].iloc[0] == 1.5
    assert pd.isna(read["size"].iloc[1])
    assert read["id"].tolist() == ["007", "b"]
    assert read["at"].tolist() == TABLE["at"].tolist()  # times are parsed in one place, the lake


def in_batches(path: Path, schema: Schema) -> list[pd.DataFrame]:
    return list(read_batches(path, schema, rows=9))


@pytest.mark.parametrize("read", [read_table, in_batches])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.xlsx", b"", "not a table: unknown suffix"),
        ("t.csv", b"", "cannot be read as a table"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"a,b\n1,2,3\n1,2\n1,2,3,4\n", "cannot be read as a table"),
        ("t.csv.zip", b"PK?", "cannot be read as a table"),
        ("t.csv.gz", b"plain", "cannot be read as a table"),
        ("t.parquet", b"a,b\n1,2\n", "cannot be read as a table"),
        ("t.parquet", b"plain", "cannot be read as a table"),
        ("t.jsonl", b"", "holds no rows"),
        ("t.jsonl", b'{"a": 1}\nnot json\n', "cannot be read as a table"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "not a JSON object"),
        ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0)[:-9], "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, read: Read, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=said):
        read(tmp_path / name, SCHEMA)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.jsonl", b'[{"a": 1}]', "it is one JSON array. Write one JSON object a line"),
        ("t.jsonl", b"a,b\n1,2\n", "line 1 is not JSON: .* Write one JSON object a line"),
        ("t.parquet", b"PK\x03\x04xl/workbook.xml", r"it is an Excel workbook \(.xlsx\). Save the sheet"),
        ("t.csv.gz", b"a,b\n1,2\n", r"Not a gzipped file.* Get the file again, or name it without .gz"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "Get the file again"),
    ],
)
def test_a_file_that_is_another_is_named_and_the_way_out_fits_it(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_table(tmp_path / name, SCHEMA)


def test_a_zip_holds_one_table_whatever_macos_adds(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", "plum,size\na,1\n")
        archive.writestr("__MACOSX/._t.csv", "\0")
    assert read_table(path, SCHEMA)["plum"].tolist() == ["a"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("u.csv", "plum,size\na,1\n")
    with pytest.raises(DataError, match=r"it holds 2 files, where one is a table\. Give a zip of one table"):
        read_table(path, SCHEMA)


@pytest.mark.parametrize("read", [read_table, in_batches])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError, match=r"There is no file .*gone\.csv"):
        read(tmp_path / "gone.csv", SCHEMA)


Read = Callable[[Path, Schema], object]
SCHEMA = Schema(
    {"size": "number", "code": "category", "wet": "boolean"}, "ripe", "binary", time="at", key="plum"
)
BATCHED = pd.DataFrame(
    {
        "plum": ["007", "b", "c", "d", "e"],
        "size": [1.5, None, 3.0, 4.0, 5.0],
        "code": ["x", None, "y", "1", "2"],
        "wet": [True, False, None, True, False],
        "note": ["01", "1.10", None, "n", "m"],
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.jsonl", "t.jsonl.gz"])
def test_a_table_is_read_some_rows_at_a_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if ".csv" in name:
        BATCHED.to_csv(path, index=False)
    elif "json" in name:
        BATCHED.to_json(path, orient="records", lines=True)
    else:
        BATCHED.to_parquet(path)
    batches = list(read_batches(path, SCHEMA, rows=2))
    assert [list(batch.index) for batch in batches] == [[0, 1], [2, 3], [4]]
    whole = pd.concat([batch.astype(object) for batch in batches])
    pd.testing.assert_frame_equal(
        whole.where(whole.notna(), None), BATCHED.astype(object).where(BATCHED.notna(), None)
    )


def test_values_that_a_file_stores_as_codes_are_read_as_values(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    TABLE.astype({"id": "category"}).to_parquet(path)
    [read] = read_batches(path, SCHEMA, rows=10)
    assert read["id"].tolist() == ["007", "b"]
    assert not isinstance(read["id"].dtype, pd.CategoricalDtype)


def test_a_csv_is_read_by_the_kinds_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("plum,size,code,wet,note\n007,1,07,True,007\n8,x,,,\n")
    [frame] = read_batches(path, SCHEMA, rows=9)
    assert frame["note"].iloc[0] == "007"  # nobody has said what it is
    assert (frame["plum"].tolist(), frame["code"].iloc[0]) == (["007", "8"], "07")
    assert frame["size"].tolist() == [1.0, "x"]  # the row that is wrong, and no other, is no number
    pd.testing.assert_frame_equal(read_table(path, SCHEMA), frame)


@pytest.mark.parametrize("others", ["", "5\n", "A0124\n", "1.5\n", "\n"])
def test_how_a_code_is_spelled_depends_on_no_other_row(tmp_path: Path, others: str) -> None:
    path, codes = tmp_path / "t.csv", ["00123", "9007199254740993", "9007199254740992", "02134", "7.0", " 8"]
    rows = "".join(f"{code},{code}\n" for code in codes)
    path.write_text("plum,code\n" + rows + "".join(f"{line},{line}\n" for line in others.splitlines()))
    spelled = ["00123", "9007199254740993", "9007199254740992", "02134", "7", "8"]
    for name in ("plum", "code"):
        assert read_table(path, SCHEMA)[name].tolist()[: len(codes)] == spelled


def test_in_a_column_of_truths_other_numbers_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("plum,wet\na,1\nb,2\nc,no\nd,0\n")
    read = read_table(path, SCHEMA)["wet"].tolist()
    assert read == [True, 2, "no", False]
    assert [type(value) for value in (read[0], read[3])] == [bool, bool]


LABELS = "plum,code,size,wet,ripe\n"


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (["None", "Insomnia", "Sleep Apnea"], ["None", "Insomnia", "Sleep Apnea"]),
        (["None", "Insomnia", ""], ["None", "Insomnia", None]),
        (["None", "1", "0"], [None, 1, 0]),
        (["None", "true", "false"], [None, True, False]),
        (["None", "None", "None"], ["None"] * 3),
        (["NA", "yes", " "], [None, "yes", " "]),
    ],
)
def test_none_is_a_value_among_words_and_missing_elsewhere(
    tmp_path: Path, labels: list[str], read: list[object]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LABELS + "".join(f"p{i},None,None,None,{label}\n" for i, label in enumerate(labels)))
    frame = read_table(path, SCHEMA, labelled=True)
    assert [None if pd.isna(label) else label for label in frame["ripe"]] == read
    assert set(frame["code"]) == {"None"}
    assert frame[["size", "wet"]].isna().all(axis=None)


@pytest.mark.parametrize("word", ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A"])
def test_a_csv_has_words_for_a_missing_value(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"plum,size,code,wet,note\n{word},{word},{word},{word},{word}\na,1,b,true,c\n")
    assert read_table(path, SCHEMA).iloc[0].isna().all()


def test_a_key_is_never_the_word_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("plum,size\nNone,1\n , 2\n3,3\n")
    assert read_table(path, SCHEMA)["plum"].isna().tolist() == [True, True, False]


def test_what_json_lines_leave_out_of_a_piece_is_null_there(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"plum": "a"}\n{"plum": "b"}\n{"plum": "c", "size": 1}\n{"plum": "d"}\n')
    pieces = list(read_batches(path, SCHEMA, rows=2))
    assert [list(piece) for piece in pieces] == [["plum", "size"]] * 2
    assert pd.concat(pieces)["size"].isna().tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": NaN}', "line 3 is not JSON: .*; JSON has no NaN or Infinity, write null"),
        ('{"a": -Infinity}', "line 3 is not JSON: .*; JSON has no NaN or Infinity, write null"),
        ('{"a": "a NaN"', "line 3 is not JSON: unexpected end of data. Write one JSON object a line"),
        ("[1]", "line 3 is not a JSON object"),
    ],
)
def test_the_line_that_is_no_json_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n\n' + line + "\n")
    with pytest.raises(DataError, match=said):
        read_table(path, SCHEMA)


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes('{"plum": "a"}\n'.encode("utf-8-sig"))
    assert read_table(path, SCHEMA)["plum"].tolist() == ["a"]


def test_a_separator_at_the_end_of_each_line_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("plum,size,code\na,1,x,\nb,2,y,\n")
    [frame] = read_batches(path, SCHEMA, rows=9)
    for read in (frame, read_table(path, SCHEMA)):
        assert read["plum"].tolist() == ["a", "b"]
        assert read["size"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("plum,size\nr1,a,1\nr2,b,2\n", "line 2 has 3 values, but line 1 has 2 names"),  # as R writes it
        ("plum,size\na,1,\nb,2,\nc,3,\nd,4,5\n", "line 5 has 3 values, but line 1 has 2 names"),
        (
            "plum,size\na,1\nb,2\nc,3,4,5\n",
            r"line 4 has 4 values, but line 1 has 2 names: c,3,4,5\. Correct that",
        ),
        ("", "it is empty"),
    ],
)
def test_no_value_without_a_name_is_dropped(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    if content:
        with pytest.raises(DataError, match=said):
            list(read_batches(path, SCHEMA, rows=4))
    with pytest.raises(DataError, match=said):
        read_table(path, SCHEMA)


def test_hundreds_of_columns_are_kept_together(tmp_path: Path) -> None:
    path, wide = tmp_path / "t.csv", {f"x{i}": [0.5, 1.5] for i in range(150)}
    pd.DataFrame(wide).to_csv(path, index=False)
    [frame] = read_batches(path, Schema(dict.fromkeys(wide, "number"), "y", "binary"), rows=9)
    frame["one more"] = 1  # pandas warns, and the warning is an error, where each lies by itself
    assert frame.shape == (2, 151)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t.jsonl"])
def test_of_a_wide_table_fewer_rows_are_held_at_once(tmp_path: Path, name: str) -> None:
    def written(columns: int) -> Path:
        file = tmp_path / f"{columns}{name}"
        table = pd.DataFrame([range(columns)], columns=[f"x{n}" for n in range(columns)])
        if "csv" in name:
            table.to_csv(file, index=False)
        elif "parquet" in name:
            table.to_parquet(file)
        else:
            table.to_json(file, orient="records", lines=True)
        return file

    assert readers.rows_at_once(written(4), 200_000) == 200_000
    assert 1000 < readers.rows_at_once(written(400), 200_000) < 20_000
    assert readers.rows_at_once(written(400), 7) == 7
