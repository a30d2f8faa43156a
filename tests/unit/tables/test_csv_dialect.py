from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import DataError
from mlops.schema import Schema
from mlops.tables.csv_dialect import dialect_of
from mlops.tables.readers import read_batches, read_table, sniff

SCHEMA = Schema({"Größe (cm)": "number", "Ort.Name": "category"}, "reif", "binary")
TEXT = "Größe (cm){0}Ort.Name{0}reif\n1.5{0}Köln{0}True\n2{0}Brühl, alt{0}False\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_is_read_however_it_is_written(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    text = TEXT.format(separator).replace("Brühl, alt", '"Brühl, alt"')
    path.write_bytes(text.encode(encoding))
    [frame] = read_batches(path, SCHEMA, rows=9, labelled=True)

    assert frame["Größe (cm)"].tolist() == [1.5, 2.0]
    assert frame["Ort.Name"].tolist() == ["Köln", "Brühl, alt"]
    assert frame["reif"].tolist() == [True, False]
    assert read_table(path, SCHEMA)["Ort.Name"].tolist() == ["Köln", "Brühl, alt"]


def note_of(path: Path) -> str | None:
    dialect = sniff(path)
    return dialect and dialect.note


def test_what_is_out_of_the_ordinary_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TEXT.format(",").replace("Brühl, alt", "Brühl"))
    assert note_of(path) is None
    path.write_text(TEXT.format(";"))
    assert note_of(path) == "columns are separated by a semicolon"
    path.write_text(TEXT.format("\t"), encoding="cp1252")
    assert "read as cp1252" in (note_of(path) or "")
    path.write_text(TEXT.format(",").replace("Brühl, alt", "Brühl"), encoding="utf-16")
    assert note_of(path) == "it is UTF-16"


def test_a_letter_at_the_very_end_decides_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"x,1\n" * 600_000 + "é,2\n".encode("cp1252"))
    assert dialect_of(path).encoding == "cp1252"
    path.write_bytes(b"a,b\n" + b"x,1\n" * 600_000 + "é,2\n".encode())
    assert dialect_of(path).encoding == "utf-8"


def test_one_column_and_separators_within_quotes_are_no_separators(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name\nx\ny\n")
    assert dialect_of(path).separator == ","
    path.write_text('a,b\n"1;2;3",x\n"4;5;6",y\n')
    assert dialect_of(path).separator == ","


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b,a\n1,2,3\n", r"more than one column a\."),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is not text"),
    ],
)
def test_what_no_table_is_written_as_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(path, SCHEMA)
    with pytest.raises(DataError, match=said):
        list(read_batches(path, SCHEMA, rows=9))


def test_a_dialect_that_is_known_is_not_sniffed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b;c\n1,2;3\n")
    dialect = sniff(path)
    assert dialect is not None
    path.write_text("a,x;y;z\n1,2;3;4\n1;2;3;4,\n")  # by itself it would be separated by semicolons
    [frame] = read_batches(path, Schema({}, "", "binary"), rows=10, dialect=dialect)
    assert frame["a"].tolist() == ["1", "1;2;3;4"]


ROWS = "".join(f"{i},{i * 2.5},w{i % 3}\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("sep=;\na;b;c\n" + ROWS.replace(",", ";"), "columns are separated by a semicolon"),
        ('"sep=;"\na;b;c\n' + ROWS.replace(",", ";"), "columns are separated by a semicolon"),
        ("sep=^\na^b^c\n" + ROWS.replace(",", "^"), "columns are separated by ^"),
        ("Sales 2019\n\na,b,c\n" + ROWS, 'line 1, "Sales 2019", is a title and was not read'),
        ("Sales 2019,,\n,,\na,b,c\n" + ROWS, 'line 1, "Sales 2019", is a title and was not read'),
        ("# a\n# b\na,b,c\n" + ROWS, 'line 2, "# b", is a title and was not read'),
        ("a, b ,c\n" + ROWS, "spaces around the names of its columns are not read"),
        ("a,b,c\n" + ROWS, None),
    ],
)
def test_what_stands_above_and_around_the_names_is_not_read(
    tmp_path: Path, text: str, note: str | None
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = read_table(path, Schema({}, "", "binary"))
    assert list(table) == ["a", "b", "c"]
    assert len(table) == 11
    assert note_of(path) == note or (note is not None and note in (note_of(path) or ""))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            ROWS,
            'has no names for its columns: line 1, "1 2.5 w1", looks like data. Put a line with the names',
        ),
        ("red,big\nblue,small\nred,small\nblue,big\nred,big\nblue,big\nred,small\n", "has no names"),
        (
            "a,b,c\nkg,cm,\n" + ROWS,
            'line 2, "kg cm", holds units or more names, not values. Delete that line',
        ),
        ("a,b,c\n" + ROWS + "a,b,c\n" + ROWS, "line 13 holds the names of the columns again. Delete that"),
        ("a,b, a\n" + ROWS, r"more than one column a\."),
    ],
)
def test_a_first_line_that_holds_no_names_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=problem):
        sniff(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("country,2019,2020\n" + "".join(f"x{i},1,2.5\n" for i in range(9)), ["country", "2019", "2020"]),
        ("0,1,2\n" + "".join(f"{i},1.5,2.5\n" for i in range(9)), ["0", "1", "2"]),
        ("<DATE>\t<OPEN>\n2013.01.01\t1.5\n", ["<DATE>", "<OPEN>"]),
        ("#a,b,c\n" + ROWS, ["#a", "b", "c"]),
        (",a,b\n" + ROWS, ["Unnamed: 0", "a", "b"]),
        ("a,,b\n" + ROWS, ["a", "Unnamed: 1", "b"]),
        ("a,b,c\n?,-,\n" + ROWS, ["a", "b", "c"]),
    ],
)
def test_names_that_look_odd_are_names(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert list(dialect_of(path).names) == names


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml", "it is an Excel workbook .* Save the sheet as CSV"),
        (b"<!DOCTYPE html>\n<html>", "it is an HTML page. Download the file itself"),
        (b"\x1f\x8b\x08\0", "it is compressed with gzip. Give its name the suffix too, as table.csv.gz"),
        (b'{"a": 1}\n', "it is JSON. Write one JSON object a line, and name it .jsonl"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"PAR1\x15\x04", "it is Parquet. Name it .parquet"),
    ],
)
def test_what_a_file_is_after_all_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        sniff(path)
