from __future__ import annotations

import csv
import io
import random
import re
from pathlib import Path

import pytest

from mlops.errors import DataError
from mlops.schema import Schema
from mlops.tables.csv_lines import LineCheck, LineFault, Quoting, without_escapes
from mlops.tables.readers import read_batches, read_table, sniff

ANY = Schema({}, "", "binary")
ROWS = "".join(f"{i},{i * 2.5},w{i % 3}\n" for i in range(1, 12))
WORDS = ["a", "b c", '"', '""', "\n", "x\ny", '5" pipe', "", "\r\n", "é", "\\", ","]


def fault_of(text: bytes, *, names: int, separator: str = ",", step: int = 7) -> LineFault | None:
    check = LineCheck(separator, Quoting(), names=names, header=0)
    for place in range(0, len(text), step):
        if fault := check.take(text[place : place + step]):
            return fault
    return check.end()


@pytest.mark.parametrize("seed", range(4))
def test_the_line_that_differs_is_the_one_that_is_named(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(100):
        names = random_.choice([2, 3, 5])
        rows = [
            ["".join(random_.choices(WORDS, k=random_.randint(0, 3))) for _ in range(names)] for _ in range(6)
        ]
        odd = random_.choice([None, 0, 3, 5])
        if odd is not None:
            rows[odd] = [*rows[odd], "more"] if random_.random() < 0.5 else ["less", *rows[odd][2:]]
        text, lines = io.StringIO(newline=""), [0]
        writer = csv.writer(text, lineterminator=random_.choice(["\n", "\r\n"]))
        for row in rows:
            writer.writerow(row)
            lines.append(text.getvalue().replace("\r\n", "\n").count("\n"))
        fault = fault_of(text.getvalue().encode(), names=names, step=random_.choice([1, 7, 50]))
        assert (fault and fault.line) == (None if odd is None else lines[odd] + 1)


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    with pytest.raises(DataError) as one:
        read_table(path, ANY)
    with pytest.raises(DataError) as pieces:
        list(read_batches(path, ANY, rows=3))
    assert str(one.value) == str(pieces.value)
    assert "Give CSV" not in str(one.value)
    return str(one.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"a,b,c\n{ROWS}1,2\n{ROWS}",
            r"line 13 has 2 values, but line 1 has 3 names: 1,2. Complete or delete",
        ),
        (f"a,b,c\n{ROWS}Total,100\n", r"line 13 has 2 values.*: Total,100. Complete or delete"),
        (f"a,b,c\n{ROWS}1,2", r"the last line, 13, has 2 values.*where the file was cut off"),
        (f"a,b,c\n{ROWS}# note\n{ROWS}", r"line 13 has 1 value, but line 1 has 3 names: # note"),
        (f'a,b,c\n{ROWS}1,2,"x', r"line 13 opens a quote that is never closed"),
        (f'a,b,c\n{ROWS}1,2,"x\n{ROWS}', r"line 13 opens a quote that is never closed"),
        (
            f'a,b,c\n{ROWS}1,2,"x\n1,2,"y"\n',
            r"line 13 has a value that goes on .* in line 14",
        ),
        ('a,b\n1,2\n"The "best" one",5\n', r'line 3 has a value that goes on after.*twice, as ""'),
        ('a,b,c\n1,2,"x\ny"\n1,2\n', r"line 4 has 2 values"),
        ('a,b,c\r\n1,2,"x\r\ny"\r\n1,2\r\n', r"line 4 has 2 values"),
        ('a,b,c\r1,2,"x\ry"\r1,2\r', r"line, 4, has 2 values"),
        ('a,b,c\n1,2,"x\ry"\n1,2\n', r"line 4 has 2 values"),
        ("Report, 2019\na,b,c\n" + ROWS, r"line 2 has 3 values.* The first line must hold a name for each"),
        ('a\n1\n"2\n3\n', r"line 3 opens a quote"),
    ],
)
def test_a_line_that_fits_no_names_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert re.search(problem, refusal(tmp_path, text))


def test_a_fault_far_behind_the_first_piece_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,some words of a long value\n" * 100_000 + "1\n" + "2,x\n" * 9)
    with pytest.raises(DataError, match="line 100002 has 1 value"):
        next(iter(read_batches(path, ANY, rows=10)))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,x",  # no line end
        "\n\na,b\n\n1,2\n   \n3,x\n\n",
        "a,b,\n1,2,\n3,x,\n",
        "a,b,,\n1,2\n3,x,,\n",
        "a,b\n1,2,\n3,x\n",
        "a,b\r\r\n1,2\r\r\n3,x\r\r\n",
    ],
)
def test_what_holds_no_value_is_no_fault(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    assert read_table(path, ANY).to_dict("list") == {"a": ["1", "3"], "b": ["2", "x"]}


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ('"chevrolet\\" chevelle malibu, ok"', 'chevrolet" chevelle malibu, ok'),
        ('"say \\"hi\\" now"', 'say "hi" now'),
        ('"ends \\\\"', "ends \\"),  # as MySQL escapes what escapes
        ('"C:\\new\\temp, \\" x"', 'C:\\new\\temp, " x'),
        ('"say ""hi"" now"', 'say "hi" now'),
        ('"C:\\dir\\"', "C:\\dir\\"),
        ('5" pipe', '5" pipe'),
        ("\\N", "\\N"),
        ('"two\r\nlines"', "two\r\nlines"),
        ('"one\rline"', "one\rline"),
        ("o'neil", "o'neil"),
        ("'tis", "'tis"),
    ],
)
def test_quotes_and_backslashes_are_read_as_they_were_meant(
    tmp_path: Path, written: str, values: str
) -> None:
    path = tmp_path / "t.csv"
    escaped = '2,"a \\"b\\""\n' if '\\"' in written and not written.startswith('"C:\\dir') else ""
    path.write_text(f"a,b\n1,{written}\n{escaped}3,x\n", newline="")
    assert read_table(path, ANY)["b"].tolist()[0] == values
    assert read_table(path, ANY)["b"].tolist()[-1] == "x"


def test_an_escape_at_the_end_of_a_piece_is_one() -> None:
    assert without_escapes('a \\"b\\" \\\\" c\\d') == 'a ""b"" \\" c\\d'


def test_single_quotes_enclose_where_they_do_in_all_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,'x, y','p'\n2,'z','it''s'\n")
    assert read_table(path, ANY)["b"].tolist() == ["x, y", "z"]
    assert read_table(path, ANY)["c"].tolist() == ["p", "it's"]
    path.write_text("a,b\n1,'x'\n2,'y'\n")
    assert read_table(path, ANY)["b"].tolist() == ["x", "y"]
    path.write_text("a,b\n1,'x'\n2,y\n")
    assert read_table(path, ANY)["b"].tolist() == ["'x'", "y"]


def test_spaces_after_separators_are_the_files_writing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('age, work, edu\n39, State-gov, "a, b"\n50, Private, c\n')
    dialect = sniff(path)
    assert dialect is not None
    assert dialect.note == "spaces after its separators are not read"
    assert read_table(path, ANY).to_dict("list") == {
        "age": ["39", "50"],
        "work": ["State-gov", "Private"],
        "edu": ["a, b", "c"],
    }
