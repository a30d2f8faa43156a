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
    path.write_text(TEXT.format(","))
    assert note_of(path) is None
    path.write_text(TEXT.format(";"))
    assert note_of(path) == "columns are separated by a semicolon"
    path.write_text(TEXT.format("\t"), encoding="cp1252")
    assert "read as cp1252" in (note_of(path) or "")
    path.write_text(TEXT.format(","), encoding="utf-16")
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
    path.write_text("x;a;b\n1;2;3\n1;2;3\n")  # by itself it would be separated by semicolons
    [frame] = read_batches(path, Schema({}, "", "binary"), rows=10, dialect=dialect)
    assert list(frame) == ["x;a;b"]
