"""The quarantine as a place: what waits there, and how it comes back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlops.config.paths import LAKE
from mlops.data.contract import infer
from mlops.data.lake import Lake
from mlops.ledger.records import DataVersioned
from mlops.ledger.store import Ledger
from mlops.project import data_quarantine
from mlops.project.context import Project
from mlops.project.ingest import add_files
from tests.flows.orchard import Told, plums, stamped


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that quarantined four of the eighty rows of june.csv."""
    folder = tmp_path_factory.mktemp("quarantine")
    root = stamped(folder / "plums")
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("data:\n", "data:\n  contract: contract.yaml\n", 1))
    (root / "contract.yaml").write_text(infer(plums(0, 10, season=0), Project.at(root).schema).to_yaml())
    table = plums(24, 2, season=0).astype(object)
    table.loc[0, "size"], table.loc[1, "picked"], table.loc[2, "colour"] = "abc", "soon", "pink"
    table.loc[3, "plum"] = table.loc[4, "plum"]
    table.to_csv(folder / "june.csv", index=False)
    add_files(root, [folder / "june.csv"])
    return root


def lake(root: Path) -> pd.DataFrame:
    return Lake(root / LAKE).read(Project.at(root).schema)


def waiting(root: Path) -> list[int]:
    return sorted(row.number for row in data_quarantine.quarantine(Project.at(root)).rows)


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def mend(file: Path, cells: dict[str, dict[str, str]]) -> None:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        row |= next((new for reason, new in cells.items() if reason in row["reason"]), {})
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_the_way_there_and_back(
    begun: Path, say: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = say(begun, "data", "quarantine").out
    assert "4 rows, of june.csv" in shown
    assert "size is not a number: 1 row, as 'abc'" in shown
    assert "colour='pink'" in say(begun, "data", "quarantine", "june.csv", "--rows", "--column", "colour").out
    listed = json.loads(say(begun, "data", "quarantine", "--rows", "--reason", "soon", "--json").out)
    assert [row["values"]["picked"] for row in listed["rows"]] == ["soon"]
    frame = Project.at(begun).quarantine()
    assert len(frame) == 4
    assert set(frame["table"]) == {"june.csv"}

    assert (
        say(begun, "data", "quarantine", "--retry").code == 3
    )  # nothing was mended; a repeated key stays out
    assert len(lake(begun)) == 76

    file = tmp_path / "mend.csv"
    assert "4 rows written" in say(begun, "data", "quarantine", "--export", str(file)).out
    mend(file, {"'abc'": {"size": "3.25"}, "'soon'": {"picked": "still soon"}})

    real = Ledger.record
    monkeypatch.setattr(Ledger, "record", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(
        KeyboardInterrupt
    ):  # a kill once the rows are in the lake, and before they are recorded
        data_quarantine.take_back(Project.at(begun), file)
    monkeypatch.setattr(Ledger, "record", real)
    assert len(waiting(begun)) == 4

    told = say(begun, "data", "quarantine", "--return", str(file))
    assert told.out.startswith("1 row was taken back from quarantine; the data is at version ")
    assert "3 rows are still bad: " in told.out
    assert len(lake(begun)) == 77
    assert 3.25 in set(lake(begun)["size"])
    newest = Project.at(begun).ledger.entries(DataVersioned)[-1].record
    assert [len(back.rows) for back in newest.files[0].returned] == [1]

    again = say(begun, "data", "quarantine", "--return", str(file))
    assert "1 row was taken back before." in again.out
    assert len(lake(begun)) == 77

    contract = begun / "contract.yaml"
    contract.write_text(contract.read_text().replace("allowed: [blue", "allowed: [pink, blue"))
    assert "1 row was taken back" in say(begun, "data", "quarantine", "june", "--retry").out
    assert "pink" in set(lake(begun)["colour"])
    assert len(waiting(begun)) == 2


def test_what_names_no_waiting_row_is_refused(begun: Path, say: Callable[..., Told], tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("size,plum\n1,p\n")
    assert "a row has no quarantine_row" in say(begun, "data", "quarantine", "--return", str(file)).err
    file.write_text("quarantine_row,size\nmay-0123:7,1\n")
    assert "no row may-0123:7 waits" in say(begun, "data", "quarantine", "--return", str(file)).err
    assert "No batch 'may'" in say(begun, "data", "quarantine", "may").err
    assert say(begun, "data", "quarantine", "--retry", "--export", "x.csv").code == 2
