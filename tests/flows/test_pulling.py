"""What a source gave, whatever is killed on the way; without a run of Prefect's."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, POSITIONS
from mlops.data.contract import infer
from mlops.data.lake import Lake
from mlops.data.source import Fetched
from mlops.errors import UsageError
from mlops.files import yaml
from mlops.ledger.records import DataVersioned
from mlops.orchestration.tasks import ingest
from mlops.project.context import Project
from mlops.project.ingest import add_files
from mlops.project.ingest_table import LakeState, stage_table
from mlops.project.source_pull import merge_positions, pull, restore_positions
from tests.flows.orchard import plums, stamped


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return stamped(tmp_path / "quinces", name="quinces")


def test_what_is_left_of_fetched_tables_that_were_being_removed_is_fetched_anew(root: Path) -> None:
    path = root / "params.yaml"
    params = yaml.read(path)
    params["data"]["source"] = {"sql": "select * from plums", "url": f"sqlite:///{root}/plums.db"}
    path.write_text(yaml.dump(params))
    with sqlite3.connect(root / "plums.db") as connection:
        plums(0, 1, season=0).to_sql("plums", connection, index=False)
    connection.close()
    first = pull(Project.at(root), root)
    first.write_intent()
    [again] = pull(Project.at(root), root).tables
    assert again.file == first.tables[0].file
    first.tables[0].file.unlink()  # as where the removal was killed
    [anew] = pull(Project.at(root), root).tables
    assert anew.file.is_file()


def test_two_files_of_one_name_and_content_count_once(root: Path, tmp_path: Path) -> None:
    project = Project.at(root)
    (root / "contract.yaml").write_text(infer(plums(0, 10, season=0), project.schema).to_yaml())
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("data:\n", "data:\n  contract: contract.yaml\n", 1))
    table = plums(24, 1, season=0).astype(object)
    table.loc[0, "size"] = "abc"
    files = [tmp_path / folder / "june.csv" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        table.to_csv(file, index=False)
    said = add_files(root, files).outcome.text
    assert said.startswith("39 rows added")
    assert said.count("1 row of june.csv is in .mlops/quarantine") == 1
    assert len(Lake(root / LAKE).read(Project.at(root).schema)) == 39
    shutil.rmtree(tmp_path / "b")
    assert add_files(root, files[:1]).outcome.text.startswith("Nothing new")


def positions(source: int) -> str:
    return json.dumps({"format": 1, "positions": {"source": source}})


def test_the_loop_goes_back_in_a_source_with_the_person_unless_it_read_on_itself(tmp_path: Path) -> None:
    def joined(ours: int, theirs: int, base: int) -> int:
        restore_positions(tmp_path, positions(ours))
        merge_positions(tmp_path, positions(theirs), positions(base))
        return int(json.loads((tmp_path / POSITIONS).read_text())["positions"]["source"])

    assert joined(ours=3, theirs=2, base=3) == 2
    assert joined(ours=3, theirs=5, base=3) == 5
    assert joined(ours=4, theirs=2, base=3) == 4


def keyless(root: Path) -> Path:
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("  key: plum\n", ""))
    return root


def test_a_file_that_has_grown_is_refused_where_no_key_tells_its_rows_apart(
    root: Path, tmp_path: Path
) -> None:
    keyless(root)
    file = tmp_path / "june.csv"
    plums(0, 1, season=0).to_csv(file, index=False)
    assert add_files(root, [file]).outcome.text.startswith("40 rows added")
    both = pd.concat([plums(0, 1, season=0), plums(1, 1, season=0).head(30)])
    both.to_csv(file, index=False)
    refused = add_files(root, [file]).outcome
    assert refused.refused
    assert "40 of its 70 rows are already in the lake and would count twice. Set data.key" in refused.text
    assert "or rename the file" in refused.text
    assert len(Lake(root / LAKE).read(Project.at(root).schema)) == 40
    plums(2, 1, season=0).to_csv(file, index=False)  # other rows under the same name
    assert add_files(root, [file]).outcome.text.startswith("40 rows added")
    state = LakeState.of(Project.at(root), root)
    assert not state.may_repeat(Fetched(file, "july.csv"))
    assert state.may_repeat(Fetched(file, "july.csv", again=True))  # as its source says


def test_what_a_clone_holds_already_is_not_told_as_added(root: Path, tmp_path: Path) -> None:
    file, clone = tmp_path / "june.csv", tmp_path / "clone"
    plums(0, 1, season=0).to_csv(file, index=False)
    add_files(root, [file])
    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
    data = DvcTree(clone)
    data.share_cache(DvcTree(root))
    data.checkout()
    assert (
        add_files(clone, [file]).outcome.text == "Nothing new: all rows of june.csv are already in the lake."
    )
    assert Project.at(clone).ledger.entries(DataVersioned)[-1].record.rows == 0
    assert add_files(clone, [file]).outcome.text.startswith("Nothing new: june.csv was ingested on ")


def test_several_tables_a_folder_a_pattern_and_an_address_are_one_version(root: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for day in range(5):
        plums(day, 1, season=0).to_csv(inbox / f"{day}.csv", index=False)
    for name, day in (("far", 4), ("further", 3)):
        fsspec.filesystem("memory").put_file(str(inbox / f"{day}.csv"), f"/{name}/{day}.csv")
        (inbox / f"{day}.csv").unlink()
    words = (
        str(inbox / "0.csv"),
        str(inbox / "[12].csv"),
        str(inbox),
        "memory://far",
        "memory://further/3.csv",
    )
    said = ingest.add_file.fn(root, *words[:1], words[1:]).text  # type: ignore[attr-defined]
    assert said.startswith("200 rows added")
    [versioned] = Project.at(root).ledger.entries(DataVersioned)
    assert sorted(file.name for file in versioned.record.files) == [f"{day}.csv" for day in range(5)]
    for word, error in (
        ("nowhere.csv", "no table nowhere.csv"),
        ("memory://gone", "nothing at memory://gone"),
    ):
        with pytest.raises(UsageError, match=error):
            ingest.add_file.fn(root, word)  # type: ignore[attr-defined]


def test_half_a_batch_that_a_killed_run_showed_is_in_no_other_version(root: Path, tmp_path: Path) -> None:
    project, spring, later = Project.at(root), tmp_path / "spring.csv", tmp_path / "later.csv"
    plums(20, 20, season=0).to_csv(spring, index=False)  # of two months
    plums(60, 1, season=0).to_csv(later, index=False)
    state = LakeState.of(project, root)
    with state.lake.staging() as staging:
        staged = stage_table(state, Fetched(spring, spring.name), staging)
        state.lake.declare_intent([staging])
        first, second = staged.publish().files
    (root / LAKE / second).unlink()  # as where it was killed between the two
    assert state.lake.incomplete_files() == {first}
    assert add_files(root, [later]).outcome.text.startswith("40 rows added")
    assert len(Lake(root / LAKE).read(project.schema)) == 40
    assert add_files(root, [spring]).outcome.text.startswith("800 rows added")
    assert len(Lake(root / LAKE).read(project.schema)) == 840
    assert Tree(root).is_clean(["data"])
