"""The versions of the data, as a person goes about them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.cli.data_diff import shown_difference
from mlops.config.paths import LAKE
from mlops.data.diff import Column, ColumnDifference, Difference, RowDifference, Spread
from mlops.data.lake import Lake
from mlops.ledger.records import DataVersioned, ModelRegistered
from mlops.orchestration.tasks import ingest
from mlops.project.backup import backup
from mlops.project.context import Project
from mlops.project.data_log import choose
from mlops.project.restore import restore
from tests.flows.orchard import Told, plums
from tests.ledger_rows import made

Say = Callable[..., Told]


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def add(root: Path, rows: pd.DataFrame, message: str) -> str:
    """Make one more version of the lake, as an ingestion does; return its md5."""
    project = Project.at(root)
    added = Lake(root / LAKE).append(rows, project.schema)
    version = DvcTree(root).add(new=added.files)
    commit = Tree(root).commit_paths([f"{LAKE}.dvc", "data/.gitignore"], message)
    project.ledger.record(DataVersioned(rows=added.rows, md5=version.md5, commit=commit))
    project.ledger.close()
    return version.md5


@pytest.fixture(scope="module")
def grown(stamp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three versions; a model was trained on the second, and the loop has one more."""
    root = tmp_path_factory.mktemp("grown") / "plums"
    shutil.copytree(stamp, root, symlinks=True)
    first = plums(0, 4, season=0)
    add(root, first, "Add the first days")
    second = add(root, plums(4, 2, season=0), "Add two days")
    project = Project.at(root)
    project.ledger.record(made(ModelRegistered, version="7", data_md5=second, commit=Tree(root).head()))
    project.ledger.close()
    git(root, "switch", "-q", "-c", "mlops/loop")
    add(root, plums(6, 1, season=1), "Add what was served")
    git(root, "switch", "-q", "main")
    DvcTree(root).checkout()
    corrected = first.head(3).assign(size=9.0, colour="green")
    add(root, pd.concat([plums(7, 1, season=1), corrected]), "Add a day and three corrections")
    return root


@pytest.fixture
def orchard(grown: Path, tmp_path: Path) -> Path:
    root = tmp_path / "plums"
    shutil.copytree(grown, root, symlinks=True)
    return root


def lines(told: Told) -> list[str]:
    assert told.code == 0, told.err
    return told.out.strip("\n").splitlines()


class TestLog:
    def test_versions_are_told_newest_first(self, say: Say, grown: Path) -> None:
        [_, newest, served, second, first] = lines(say(grown, "data", "log"))
        assert newest.startswith("*")
        assert "Add a day and three corrections" in newest
        assert [word in served for word in ("mlops/loop", " main")] == [True, False]
        assert second.split()[-4:] == ["7", "Add", "two", "days"]
        assert "main, mlops/loop" in first
        assert " 160 " in first

    def test_in_a_clone_the_loops_versions_are_those_of_the_remotes_branch(
        self, say: Say, grown: Path, tmp_path: Path
    ) -> None:
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "-q", str(grown), str(clone))
        [_, _, served, _, _] = lines(say(clone, "data", "log"))
        assert "mlops/loop" in served
        chosen = choose(Project.at(clone), "mlops/loop")
        assert str(chosen) == served.split()[0]
        assert choose(Project.at(clone), "mlops/loop~1").version != chosen.version

    def test_the_repository_of_a_calling_hook_is_not_taken_for_the_projects(
        self, say: Say, grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = lines(say(grown, "data", "log"))
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
        assert lines(say(grown, "data", "log")) == before

    def test_for_machines_too(self, say: Say, grown: Path) -> None:
        found = json.loads(say(grown, "data", "log", "--json").out)["versions"]
        assert [one["added"] for one in found] == [43, 40, 80, 160]
        assert [one["rows"] for one in found] == [283, 280, 240, 160]
        assert [one["models"] for one in found] == [[], [], ["7"], []]
        assert len(json.loads(say(grown, "data", "log", "--most", "2", "--json").out)["versions"]) == 2

    def test_it_imports_nothing_heavy(self, grown: Path) -> None:
        program = (
            "import sys; from mlops.cli import main\n"
            f"sys.argv = ['mlops', '--project', {str(grown)!r}, 'data', 'log']\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "heavy = {'prefect', 'mlflow', 'dvc', 'pandas', 'sklearn', 'evidently'}\n"
            "sys.stderr.write(' '.join(heavy & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert "Add two days" in done.stdout
        assert done.stderr == ""

    def test_a_project_without_data_is_told_what_to_do(self, say: Say, stamp: Path) -> None:
        assert "mlops ingest FILE" in say(stamp, "data", "log").out
        told = say(stamp, "data", "diff", "HEAD")
        assert told.code == 2
        assert "mlops data log" in told.err


class TestDiff:
    def test_rows_columns_and_values_are_side_by_side(self, say: Say, grown: Path) -> None:
        before = git(grown, "status", "--porcelain")
        told = say(grown, "data", "diff", "HEAD~1")
        assert told.code == 0, told.err
        assert "40 added, 0 removed, 3 changed, by plum" in told.out
        assert "new: green" in told.out
        assert git(grown, "status", "--porcelain") == before

    @pytest.mark.parametrize("name", ["model:7", "HEAD~1", "md5"])
    def test_a_version_has_several_names(self, say: Say, grown: Path, name: str) -> None:
        known = json.loads(say(grown, "data", "log", "--json").out)["versions"]
        name = known[2]["md5"][:7] if name == "md5" else name
        told = json.loads(say(grown, "data", "diff", name, "mlops/loop", "--json").out)
        assert (told["before"]["md5"], told["after"]["md5"]) == (known[2]["md5"], known[1]["md5"])
        assert told["rows"] == {
            "before": 240, "after": 280, "added": 40, "removed": 0, "changed": 0, "by": "plum",
        }  # fmt: skip

    def test_a_wide_table_is_shown_in_part_unless_all_is_asked_for(self) -> None:
        side = Column(0.0, Spread(1.0, 1.0, 0.0, 0.5, 1.0, 1.5, 2.0))
        columns = [
            ColumnDifference(f"x{i}", "feature", "number", ("double", "double"), side, side, 1 / (1 + i))
            for i in range(40)
        ]
        found = Difference(RowDifference(3, 3, 0, 0, None, None), tuple(columns))
        part = shown_difference(found, "a", "b")
        assert "28 more with less change: --all shows them" in part
        assert ("\nx11 " in part, "\nx12 " in part) == (True, False)
        whole = shown_difference(found, "a", "b", everything=True)
        assert all(whole.count(f"\n{column.name} ") == 1 for column in columns)


class TestCheckout:
    def test_files_and_pointer_go_to_the_version_and_nothing_is_committed(
        self, say: Say, orchard: Path
    ) -> None:
        head = git(orchard, "rev-parse", "HEAD")
        told = say(orchard, "data", "checkout", "model:7")
        assert told.code == 0, told.err
        assert "mlops data checkout HEAD" in told.out
        assert len(Lake(orchard / LAKE).read(Project.at(orchard).schema)) == 240
        assert DvcTree(orchard).verify().md5 in (orchard / f"{LAKE}.dvc").read_text()
        assert git(orchard, "rev-parse", "HEAD") == head
        assert git(orchard, "status", "--porcelain") == f"M {LAKE}.dvc"
        assert say(orchard, "data", "checkout", "HEAD").code == 0
        assert git(orchard, "status", "--porcelain") == ""
        assert len(Lake(orchard / LAKE).read(Project.at(orchard).schema)) == 280

    def test_once_committed_the_loops_lake_follows_and_keeps_what_is_its_own(
        self, say: Say, orchard: Path
    ) -> None:
        def loops_rows() -> int:
            tree = ingest.loop_worktree.fn(orchard)  # type: ignore[attr-defined]
            return len(Lake(tree / LAKE).read(Project.at(orchard).schema))

        assert loops_rows() == 320
        assert say(orchard, "data", "checkout", "HEAD~1").code == 0
        git(orchard, "commit", "-q", "-m", "Take the last day out", f"{LAKE}.dvc")
        assert loops_rows() == 280

    def test_what_is_in_no_version_is_not_lost_unless_forced(self, say: Say, orchard: Path) -> None:
        loose = orchard / LAKE / "2026-01" / "loose.parquet"
        loose.write_text("nobody else has this")
        told = say(orchard, "data", "checkout", "HEAD~1")
        assert told.code == 1
        assert "loose.parquet" in told.err
        assert loose.exists()
        assert git(orchard, "status", "--porcelain") == ""
        assert say(orchard, "data", "checkout", "HEAD~1", "--force").code == 0
        assert not loose.exists()

    def test_what_a_killed_checkout_had_half_written_is_not_in_the_way(self, say: Say, orchard: Path) -> None:
        litter = orchard / LAKE / "2026-01" / ".VdXDAt5VMpDChTBDsjxmYf.tmp"
        for _ in range(2):  # killed before the pointer was written, and after
            litter.write_text("half a file")
            told = say(orchard, "data", "checkout", "HEAD~1")
            assert told.code == 0, told.err
            assert not litter.exists()

    def test_the_last_copy_of_what_the_cache_lost_is_kept(self, say: Say, orchard: Path) -> None:
        tree = DvcTree(orchard)
        version, store = tree.verify(), tree.store()
        for md5 in store.files(version.md5, LAKE).values():
            store.objects(md5).unlink()
        assert say(orchard, "data", "checkout", "model:7").code == 0
        assert say(orchard, "data", "checkout", "HEAD").code == 0
        assert tree.verify() == version

    def test_the_raw_rows_go_along(self, say: Say, orchard: Path) -> None:
        raw = orchard / "data" / "raw"
        raw.mkdir()
        (raw / "one.csv").write_text("1\n")
        DvcTree(orchard).add("data/raw")
        Tree(orchard).commit_paths(["data/raw.dvc"], "Keep what came")
        (raw / "two.csv").write_text("2\n")
        DvcTree(orchard).add("data/raw")
        Tree(orchard).commit_paths(["data/raw.dvc"], "Keep what came then")
        assert say(orchard, "data", "checkout", "HEAD~1").code == 0
        assert [file.name for file in raw.iterdir()] == ["one.csv"]
        told = say(orchard, "data", "checkout", "model:7")
        assert "data/raw has no version at that commit" in told.out
        assert raw.exists()

    def test_a_version_that_rotted_in_the_cache_is_refused_before_anything_moves(
        self, say: Say, orchard: Path
    ) -> None:
        stored = DvcTree(orchard).store()
        pointer = json.loads(say(orchard, "data", "log", "--json").out)["versions"][-1]["md5"]
        [name], [md5] = zip(*stored.files(pointer, LAKE).items(), strict=True)
        stored.objects(md5).chmod(0o644)
        stored.objects(md5).write_bytes(b"rotten")
        stored.objects(md5).chmod(0o444)
        (orchard / LAKE / name).unlink()  # else the cache would be mended from it
        for verb in ("checkout", "diff"):
            told = say(orchard, "data", verb, pointer[:8])
            assert told.code == 1
            assert name in told.err
            assert "altered" in told.err
        assert git(orchard, "status", "--porcelain") == ""

    def test_how_far_the_source_was_read_goes_along(self, say: Say, orchard: Path) -> None:
        positions = orchard / "data" / "positions.json"
        for position in (1, 2):
            positions.write_text(json.dumps({"format": 1, "positions": {"source": position}}))
            Tree(orchard).commit_paths(["data/positions.json"], "Read on")
        assert say(orchard, "data", "checkout", "HEAD~1").code == 0
        assert json.loads(positions.read_text())["positions"] == {"source": 1}


class TestRemote:
    def test_all_versions_go_to_a_folder_and_come_back(self, say: Say, orchard: Path, tmp_path: Path) -> None:
        told = say(orchard, "data", "push")
        assert told.code == 2
        assert "dvc remote add --default" in told.err
        (orchard / ".dvc" / "config.local").write_text(
            f"['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
        )
        told = say(orchard, "data", "push", "--remote", "stor")
        assert told.code == 2
        assert "it has store" in told.err
        sent = json.loads(say(orchard, "data", "push", "--remote", "store", "--json").out)
        assert sent["moved"] > 6
        assert sent["there"] == 0

        rows = Lake(orchard / LAKE).read(Project.at(orchard).schema)
        shutil.rmtree(orchard / ".dvc" / "cache")
        shutil.rmtree(orchard / LAKE)
        came = json.loads(say(orchard, "data", "pull", "--remote", "store", "--json").out)
        assert (came["moved"], came["bytes"]) == (sent["moved"], sent["bytes"])
        assert Lake(orchard / LAKE).read(Project.at(orchard).schema).equals(rows)
        assert "283" in say(orchard, "data", "log").out
        assert "Nothing fetched" in say(orchard, "data", "pull", "--remote", "store").out


class TestKept:
    """Whatever `mlops data log` shows can be gone back to, by whichever way the cache was tidied."""

    @staticmethod
    def all_of(say: Say, root: Path) -> dict[str, int]:
        return {
            one["md5"]: one["rows"] for one in json.loads(say(root, "data", "log", "--json").out)["versions"]
        }

    def test_collecting_the_cache_takes_no_version(self, say: Say, orchard: Path) -> None:
        before = self.all_of(say, orchard)
        spare = orchard / ".dvc/cache/files/md5/00" / ("0" * 30)
        spare.parent.mkdir(exist_ok=True)
        spare.write_text("nobody's")
        git(orchard, "switch", "-q", "-c", "another", "HEAD~1")  # whichever branch one is on
        DvcTree(orchard).checkout()
        assert say(orchard, "gc", "--cache", "--yes").code == 0
        assert not spare.exists()
        git(orchard, "switch", "-q", "main")
        assert self.all_of(say, orchard) == before
        for md5 in before:
            told = say(orchard, "data", "checkout", md5)
            assert told.code == 0, told.err

    def test_while_the_list_of_a_version_is_rotten_nothing_is_collected(
        self, say: Say, orchard: Path
    ) -> None:
        tree = DvcTree(orchard)
        first = tree.store().objects(list(self.all_of(say, orchard))[-1])
        first.chmod(0o644)
        first.write_text(first.read_text().replace("2026-01", "2026-99"))
        before = sorted(tree.cache().rglob("*"))
        told = say(orchard, "gc", "--cache", "--yes")
        assert told.code == 1
        assert str(first) in told.err
        assert sorted(tree.cache().rglob("*")) == before

    def test_a_backup_with_data_has_every_version(self, say: Say, orchard: Path, tmp_path: Path) -> None:
        before = self.all_of(say, orchard)
        backup(Project.at(orchard), tmp_path / "saved.tar", with_data=True)
        other = tmp_path / "other"
        git(tmp_path, "clone", "-q", str(orchard), str(other))
        restore(Project.at(other), tmp_path / "saved.tar")
        assert self.all_of(say, other) == before
