"""What an argument that names a table may be: a file or an address, and never one taken for the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.orchard import Told, plums

Say = Callable[..., Told]

READING = (
    ("data", "check"),
    ("ingest",),
    ("predict",),
    ("labels", "add"),
    ("score",),
)


def address_of(file: Path) -> str:
    return f"file://{file}"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "some plums.csv"
    plums(0, 1, season=0).to_csv(file, index=False)
    return file


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a verb starts servers: what is wrong with an argument is known before."""

    def started(*_words: object, **_options: object) -> None:
        raise AssertionError("servers were started")

    monkeypatch.setattr("mlops.project.up.ensure", started)


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("verb", READING, ids=" ".join)
def test_a_dash_is_no_table_and_no_folder_is_made_of_it(
    say: Say, project: Path, verb: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = say(project, *verb, "-")
    assert told.code == 2
    assert "- is no table" in told.err
    assert not list(tmp_path.iterdir())


def test_a_project_is_not_begun_with_a_dash(say: Say, tmp_path: Path) -> None:
    told = say(tmp_path / "new", "init", "-", "--target", "ripe")
    assert told.code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("s3://bucket/in.csv", "out.csv"), "The source is an address, s3://bucket/in.csv"),
        (("in.csv", "s3://bucket/out.parquet"), "The destination is an address, s3://bucket/out.parquet"),
        (("in.csv", "-"), "- is no table"),
    ],
)
def test_a_score_reads_and_writes_files_and_says_so_of_an_address(
    say: Say,
    project: Path,
    words: tuple[str, str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = say(project, "score", *words)
    assert told.code == 2
    assert named in told.err
    assert not list(tmp_path.iterdir())


def test_a_table_at_an_address_is_checked_as_the_file_is(say: Say, project: Path, table: Path) -> None:
    by_path, by_address = (say(project, "data", "check", word) for word in (str(table), address_of(table)))
    assert by_address.code == by_path.code == 0
    assert by_address.out == by_path.out
    assert "40 rows, 40 good" in by_address.out


def test_the_labels_and_the_rows_to_predict_are_fetched_from_an_address(
    say: Say, project: Path, table: Path
) -> None:
    asked = say(project, "predict", address_of(table))
    assert "mlops deploy" in asked.err  # the table was read: it has every feature, and nothing is served
    added = say(project, "labels", "add", address_of(table))
    assert "no prediction" in added.err


def test_a_project_begins_from_an_address(say: Say, tmp_path: Path, table: Path) -> None:
    told = say(tmp_path / "new", "init", address_of(table), "--target", "ripe", "--try", "0")
    assert told.code == 0, told.err
    assert "40 rows of" in told.out


def test_where_an_address_has_nothing_it_is_named(say: Say, project: Path, tmp_path: Path) -> None:
    address = address_of(tmp_path / "nothing.csv")
    told = say(project, "data", "check", address)
    assert told.code == 2
    assert f"There is nothing at {address}" in told.err


def test_a_folder_of_several_tables_is_not_one(say: Say, project: Path, table: Path) -> None:
    table.with_name("more.csv").write_bytes(table.read_bytes())
    told = say(project, "predict", str(table.parent))
    assert told.code == 2
    assert "names 2 tables" in told.err
