"""Data in, with every part: what is new comes once, what is bad is kept apart, and nothing is half done."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, RAW
from mlops.data.contract import infer
from mlops.data.lake import Lake
from mlops.errors import DataError, MlopsError
from mlops.files import yaml
from mlops.ledger.records import DataRefused, DataVersioned
from mlops.orchestration.tasks.train import reproduce
from tests.flows.orchard import Orchard, plums, stamped
from tests.outside import SOURCE

UNATTENDED = "PREFECT__RUNTIME__DEPLOYMENT__ID"


@pytest.fixture
def orchard(running: Orchard, tmp_path: Path) -> Orchard:
    """A project without data, that uses the Prefect of another."""
    uri = running.project.folder.prefect_uri
    return Orchard(stamped(tmp_path / "cherries", name="cherries", extra=f"PREFECT_API_URL={uri}\n"))


def declare(orchard: Orchard, **data: Any) -> None:
    path = orchard.root / "params.yaml"
    params = yaml.read(path)
    params["data"] |= data
    path.write_text(yaml.dump(params))
    Tree(orchard.root).commit_paths(["params.yaml"], "Declare")


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def rows(orchard: Orchard, tree: Path | None = None) -> pd.DataFrame:
    return Lake((tree or orchard.root) / LAKE).read(orchard.project.schema)


def state(orchard: Orchard) -> tuple[Any, ...]:
    """All that an ingestion may change for the person."""
    files = sorted(str(path) for path in (orchard.root / "data").rglob("*"))
    versions = orchard.project.ledger.entries(DataVersioned)
    return git(orchard.root, "rev-parse", "HEAD"), git(orchard.root, "status", "--porcelain"), files, versions


@pytest.fixture
def june(orchard: Orchard, tmp_path: Path) -> Path:
    """A file with four bad rows among eighty, and a contract by which they are."""
    good = plums(0, 10, season=0)
    (orchard.root / "contract.yaml").write_text(infer(good, orchard.project.schema).to_yaml())
    declare(orchard, contract="contract.yaml")
    table = plums(24, 2, season=0).astype(object)
    table.loc[0, "size"], table.loc[1, "picked"], table.loc[2, "colour"] = "abc", "soon", "pink"
    table.loc[3, "plum"] = table.loc[4, "plum"]
    file = tmp_path / "june.csv"
    table.to_csv(file, index=False)
    return file


def test_bad_rows_are_kept_apart_and_the_rest_is_a_version_with_the_file_as_it_came(
    orchard: Orchard, june: Path
) -> None:
    said = orchard.flow("ingest", file=june).text
    [versioned] = orchard.project.ledger.entries(DataVersioned)
    [told] = versioned.record.files
    aside = orchard.root / told.quarantine
    [raw] = [path for path in (orchard.root / RAW).rglob("*") if path.is_file()]

    assert said.startswith("76 rows added")
    assert "4 rows of june.csv are in .mlops/quarantine/june-" in said
    assert len(rows(orchard)) == 76
    assert len(aside.read_text().splitlines()) == 4
    assert "abc" not in json.dumps(versioned.record.to_dict())  # values of rows stay out of the ledger
    assert (raw.name, raw.read_bytes()) == ("june.csv", june.read_bytes())
    assert set(git(orchard.root, "show", "--name-only", "--format=").split()) == {
        "data/.gitignore",
        "data/lake.dvc",
        "data/raw.dvc",
    }
    assert DvcTree(orchard.root).verify(RAW).md5 == versioned.record.raw

    before = state(orchard)
    assert orchard.flow("ingest", file=june).text.startswith("Nothing new: june.csv was ingested on ")
    assert state(orchard) == before


def test_what_was_set_aside_is_taken_once_the_contract_allows_it(orchard: Orchard, june: Path) -> None:
    orchard.flow("ingest", file=june)
    contract = orchard.root / "contract.yaml"
    contract.write_text(contract.read_text().replace(", allowed: [blue, red, yellow]", ""))
    assert "3 rows of june.csv" in orchard.flow("ingest", file=june).text
    assert len(rows(orchard)) == 77  # the key keeps the others from counting twice


def test_a_source_that_the_project_brings_gives_each_row_once(orchard: Orchard) -> None:
    orders = orchard.root / "orders"
    for folder in (orders, orchard.root / "sources"):
        folder.mkdir()
    (orchard.root / "sources" / "journal.py").write_text(SOURCE)
    declare(orchard, source={"class": "sources/journal.py:Journal", "folder": "orders"})
    for day, held in enumerate((40, 80)):
        plums(day, 1, season=0).to_json(orders / f"{day}.json", orient="records", date_format="iso")
        for _ in range(2):
            told = orchard.mlops("ingest")
            assert told.code == 0, told.err
            assert len(rows(orchard)) == held
    assert told.out.startswith("Nothing new")
    assert len(orchard.project.ledger.entries(DataVersioned)) == 2


def test_a_refused_batch_changes_nothing_and_is_recorded_once(
    orchard: Orchard, june: Path, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    plums(0, 2, season=0).assign(size="big").to_csv(file, index=False)
    before = state(orchard)
    outcomes = [orchard.flow("ingest", file=file) for _ in range(2)]

    assert all(outcome.refused for outcome in outcomes)
    assert "bad.csv was refused: 80 of 80 rows are bad" in outcomes[0].text
    assert state(orchard) == before
    assert len(orchard.project.ledger.entries(DataRefused)) == 1
    assert list((orchard.root / ".mlops" / "quarantine").iterdir()) == []


def test_the_verb_tells_before_and_changes_nothing(orchard: Orchard, june: Path) -> None:
    before = state(orchard)
    told = orchard.mlops("data", "check", str(june))
    assert told.code == 0, told.err
    assert "80 rows, 76 good, 4 for quarantine" in told.out
    assert "size is not a number: 1 row, as 'abc'" in told.out
    june.write_text(june.read_text(encoding="utf-8").replace("size", "mass"), encoding="utf-8")
    refused = orchard.mlops("data", "check", str(june), "--json")
    assert refused.code == 3
    assert "no column size" in json.loads(refused.out)["refusals"][0]
    assert orchard.mlops("data", "check", str(june.with_name("none.csv"))).code == 2
    assert state(orchard) == before


def test_the_same_rows_in_another_file_add_nothing(orchard: Orchard, tmp_path: Path) -> None:
    table = plums(0, 2, season=0)
    for name in ("one.parquet", "two.parquet"):
        table.assign(note=name).to_parquet(tmp_path / name)
    orchard.flow("ingest", file=tmp_path / "one.parquet")
    before = state(orchard)
    assert "are already in the lake" in orchard.flow("ingest", file=tmp_path / "two.parquet").text
    assert state(orchard) == before


def test_labels_of_another_type_than_the_lakes_are_refused(orchard: Orchard, tmp_path: Path) -> None:
    table, file = plums(0, 1, season=0), tmp_path / "t.csv"
    table.to_csv(file, index=False)
    orchard.flow("ingest", file=file)
    before = state(orchard)
    table.assign(ripe=table["ripe"].map({True: "yes", False: "no"})).to_csv(file, index=False)
    with pytest.raises(DataError, match="labels of the type string; those of the lake are bool"):
        orchard.flow("ingest", file=file)
    assert state(orchard) == before


def test_without_a_branch_or_a_repository_nothing_is_begun(orchard: Orchard, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    plums(0, 1, season=0).to_parquet(file)
    git(orchard.root, "switch", "-q", "--detach")
    before = state(orchard)
    with pytest.raises(MlopsError, match="detached HEAD"):
        orchard.flow("ingest", file=file)
    with pytest.raises(MlopsError, match="detached HEAD"):  # before a stage is run
        reproduce(orchard.root, orchard.root)
    assert state(orchard) == before
    (orchard.root / ".git").rename(tmp_path / "git")
    with pytest.raises(MlopsError, match="not in a git repository") as refused:
        orchard.flow("ingest", file=file)
    assert "mlops init" in refused.value.remedy
    with pytest.raises(MlopsError, match="not in a git repository") as refused:
        DvcTree(orchard.root).status()
    assert "git init" in refused.value.remedy
    assert not (orchard.root / LAKE).exists()


def test_two_ingestions_at_once_both_count(orchard: Orchard, tmp_path: Path) -> None:
    files = [tmp_path / f"{day}.parquet" for day in range(3)]
    for day, file in enumerate(files):
        plums(day, 1, season=0).to_parquet(file)
    (orchard.root / "params.yaml").write_text((orchard.root / "params.yaml").read_text() + "# dirty\n")
    told: list[Any] = []
    words = [[str(files[0])], [str(files[1]), str(files[2])]]
    both = [threading.Thread(target=lambda w=w: told.append(orchard.mlops("ingest", *w))) for w in words]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.code for each in told] == [0, 0], [each.err for each in told]
    assert len(rows(orchard)) == 120
    assert git(orchard.root, "status", "--porcelain") == "M params.yaml"


@pytest.fixture
def database(orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A database that the project takes new plums from, by the hour they were picked; rows have no key."""
    monkeypatch.setenv("PLUMS_DB", str(orchard.root / ".mlops" / "plums.db"))
    (orchard.root / ".mlops").mkdir(exist_ok=True)
    source = {"sql": "select * from plums", "url": "sqlite:///${PLUMS_DB}", "cursor": "picked"}
    declare(orchard, source=source, key=None)
    with sqlite3.connect(orchard.root / ".mlops" / "plums.db") as connection:
        yield connection
    connection.close()


def bring(database: sqlite3.Connection, first_day: int, days: int) -> None:
    plums(first_day, days, season=0).to_sql("plums", database, index=False, if_exists="append")
    database.commit()


def test_a_query_gives_each_row_once_to_each_lake_whatever_is_killed(
    orchard: Orchard, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(database, 0, 2)
    with monkeypatch.context() as killed:
        killed.setattr("mlops.project.ingest.version", _die)
        with pytest.raises(Exception, match="killed"):
            orchard.flow("ingest")
    bring(database, 2, 1)
    assert orchard.flow("ingest").text.startswith("80 rows added")  # what the killed one had fetched
    assert orchard.flow("ingest").text.startswith("40 rows added")
    assert orchard.flow("ingest").text == "Nothing new in data.source."
    assert len(rows(orchard)) == 120

    # What was fetched and refused is not what is looked at next: the query may have been corrected.
    plums(3, 1, season=0).assign(size="big").to_sql("plums", database, index=False, if_exists="append")
    database.commit()
    with pytest.raises(DataError, match="size holds 'big'"):
        orchard.flow("ingest")
    database.execute("delete from plums where size = 'big'")
    database.commit()
    assert orchard.flow("ingest").text == "Nothing new in data.source."

    # A lake of an earlier version has the position it was at.
    git(orchard.root, "reset", "-q", "--hard", "HEAD~1")
    DvcTree(orchard.root).checkout()
    assert len(rows(orchard)) == 80
    assert orchard.flow("ingest").text.startswith("40 rows added")
    assert len(rows(orchard)) == 120

    assert orchard.mlops("data", "checkout", "HEAD~1").code == 0
    assert orchard.flow("ingest").text.startswith("40 rows added")
    assert len(rows(orchard)) == 120
    assert "PLUMS_DB" not in (orchard.root / "data" / "positions.json").read_text()


def test_the_loops_lake_takes_what_is_new_beside_the_persons(
    orchard: Orchard, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bring(database, 0, 2)
    monkeypatch.setenv(UNATTENDED, "of a schedule")
    assert orchard.flow("ingest").text.startswith("80 rows added")
    worktree = orchard.project.folder.worktree
    assert not (orchard.root / "data").exists()
    assert not (worktree / RAW).exists()  # in the cache alone
    assert len(DvcTree(worktree).files(RAW)) == 1

    monkeypatch.delenv(UNATTENDED)
    file = tmp_path / "by-hand.parquet"
    plums(10, 1, season=0).astype({"ripe": int}).to_parquet(file)  # as the database has them
    orchard.flow("ingest", file=file)
    bring(database, 2, 1)
    monkeypatch.setenv(UNATTENDED, "of a schedule")
    assert orchard.flow("ingest").text.startswith("40 rows added")
    assert len(rows(orchard, worktree)) == 160
    kept = {name.rpartition("/")[2] for name in DvcTree(worktree).files(RAW)}
    assert kept == {"cherries.parquet", "by-hand.parquet"}
    assert Tree(worktree).is_clean(["data"])

    monkeypatch.delenv(UNATTENDED)
    assert orchard.flow("ingest").text.startswith("120 rows added")  # the person's own lake had none of them
    assert len(rows(orchard)) == 160


def test_raw_files_may_be_left_out(orchard: Orchard, tmp_path: Path) -> None:
    declare(orchard, raw=False)
    file = tmp_path / "t.parquet"
    plums(0, 1, season=0).to_parquet(file)
    orchard.flow("ingest", file=file)
    assert not (orchard.root / RAW).exists()
    assert len(rows(orchard)) == 40


def _die(*_: Any, **__: Any) -> None:
    raise RuntimeError("killed")
