"""Keeping house, in a project that nothing runs for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops.config.project_folder import find_project
from mlops.errors import ConflictError, MlopsError
from mlops.ledger.entry import Entry
from mlops.ledger.records import (
    DataVersioned,
    DeploymentServed,
    DriftChecked,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    RunRequested,
)
from mlops.prediction_log import reader
from mlops.prediction_log.writer import PredictionLog
from mlops.project.backup import backup
from mlops.project.context import Project
from mlops.project.doctor import examine
from mlops.project.gc import collect, plan
from mlops.project.restore import restore
from mlops.project.run_marks import marks
from tests.flows.orchard import Told
from tests.ledger_rows import made

Say = Callable[..., Told]
DIGESTS = [character * 64 for character in "abcde"]


def cloned(origin: Path, folder: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(origin), str(folder)], check=True)
    (folder / ".env").write_text((origin / ".env").read_text())
    return folder


@pytest.fixture
def clone(stamp: Path, tmp_path: Path) -> Path:
    """A clone of the still project: no more than git holds, and the ports."""
    return cloned(stamp, tmp_path / "clone")


def entries(root: Path) -> list[Entry]:
    return Project.at(root).ledger.entries()


def lived(root: Path) -> Project:
    """Give a project the rows and the bundles of four promotions and one refusal."""
    project = Project.at(root)
    for number, digest in enumerate(DIGESTS):
        folder = project.folder.bundles / digest
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}" * number)
        facts = {"digest": digest, "version": str(number), "commit": "0" * 40}
        registered = project.ledger.record(made(ModelRegistered, **facts))
        judged = project.ledger.record(made(GateJudged, promote=number < 4), cause=registered)
        if number < 4:
            project.ledger.record(made(ModelPromoted, **facts), cause=judged)
    return project


@pytest.fixture
def later() -> datetime:
    """Half a year from now: all that lies here is old by then."""
    return datetime.now(UTC) + timedelta(days=180)


class TestDoctor:
    def test_a_good_project_is_well(self, say: Say, clone: Path) -> None:
        told = say(clone, "doctor", "--json")
        seen = json.loads(told.out)
        assert told.code == 0, told.out
        assert seen["healthy"]
        states = {found["name"]: found["state"] for found in seen["findings"]}
        expected = ("python", "packages", "git tree", "dvc", "params.yaml", "ports", "ledger", "clock")
        assert {name: states.get(name) for name in expected} == dict.fromkeys(expected, "ok")
        # It looked and left nothing.
        assert not (clone / ".mlops" / "ledger.db").exists()

    def test_outside_a_project_the_installation_is_checked(self, say: Say, tmp_path: Path) -> None:
        told = say(tmp_path, "doctor")
        assert told.code == 0
        assert "packages" in told.out
        assert "Not in a project" in told.out
        assert "params.yaml" not in told.out

    def test_what_fails_is_told_with_its_remedy(self, say: Say, clone: Path) -> None:
        (clone / "params.yaml").write_text("data: {}\n")
        subprocess.run(["git", "checkout", "-q", "--detach"], cwd=clone, check=True)
        told = say(clone, "doctor")
        assert told.code == 1
        assert "FAIL  params.yaml" in told.out
        assert "FAIL  git" in told.out
        assert "git switch" in told.out

    @pytest.mark.parametrize("uri", ["sqlite:///{}", "nonsense", "nonsense://x/y"])
    def test_a_ledger_that_cannot_be_opened_is_told(
        self, say: Say, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
    ) -> None:
        broken = tmp_path / "ledger.db"
        broken.write_text("no database at all" * 100)
        monkeypatch.setenv("MLOPS_LEDGER_URI", uri.format(broken))
        told = say(clone, "doctor")
        assert told.code == 1
        assert "FAIL  ledger" in told.out
        assert "disk" in told.out

    def test_every_line_is_in_the_docs_and_no_other(
        self, clone: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        lines = {found.name for found in examine(find_project(clone), clone / "requirements.lock")}
        page = (Path(__file__).parents[2] / "docs" / "housekeeping.md").read_text()
        table = page.partition("## doctor")[2].partition("## Backup")[0]
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
        told = {name.strip() for row in rows for name in row.split(",")} - {"line"}
        assert told == lines

    def test_a_taken_port_is_told_with_its_owner(self, say: Say, clone: Path) -> None:
        port = Project.at(clone).folder.settings.gateway_port
        with socket.create_server(("127.0.0.1", port)):
            told = say(clone, "doctor")
        assert told.code == 1
        assert f"Port {port} for the gateway is in use by" in told.out
        assert str(os.getpid()) in told.out

    def test_a_server_elsewhere_that_is_away_is_told(
        self, say: Say, clone: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        told = say(clone, "doctor")
        assert told.code == 1
        assert "FAIL  mlflow" in told.out
        assert "MLFLOW_TRACKING_URI" in told.out


class TestGc:
    def test_in_a_young_project_nothing_goes(self, say: Say, clone: Path) -> None:
        lived(clone)
        told = say(clone, "gc", "--cache")
        assert (told.code, told.out) == (0, "Nothing to delete.\n"), told.err

    def test_what_would_go_is_shown_and_stays(self, say: Say, clone: Path) -> None:
        litter = lived(clone).folder.bundles / f".{DIGESTS[0]}.1.tmp"
        litter.write_text("half")
        os.utime(litter, (time.time() - 7200,) * 2)
        shown = json.loads(say(clone, "gc", "--json").out)
        assert shown["deleted"] is False
        assert shown["bytes"] == 4
        assert litter.exists()
        done = say(clone, "gc", "--yes")
        assert "deleted" in done.out
        assert not litter.exists()
        [row] = [entry for entry in entries(clone) if entry.kind == "storage.collected"]
        assert row.record.bytes == 4

    def test_the_bundles_of_the_last_promotions_and_of_what_serves_stay(
        self, clone: Path, later: datetime
    ) -> None:
        project = lived(clone)
        promoted = project.ledger.last(ModelPromoted)
        first = project.ledger.entries(ModelPromoted)[0]
        for entry in (first, promoted):
            assert entry is not None
            project.ledger.record(made(DeploymentServed, digest=entry.record.digest), cause=entry)
        gone = collect(project, now=later)
        # a serves no more but served before; b, c, d are the last three; e was refused long ago.
        assert [path.name for removal in gone for path in removal.paths] == [DIGESTS[4]]
        assert sorted(path.name for path in project.folder.bundles.iterdir()) == DIGESTS[:4]
        assert plan(project, now=later) == []

    def test_a_removal_that_was_killed_leaves_no_bundle_in_part(self, clone: Path, later: datetime) -> None:
        project = lived(clone)
        folder = project.folder.bundles
        (folder / DIGESTS[4]).rename(folder / f".{DIGESTS[4]}.7.tmp")
        [of_first, litter] = plan(project, now=later)
        assert of_first.what.startswith("bundle aaaa")
        assert litter.what.startswith("litter .eeee")

    def test_rows_older_than_may_stay_go_by_month(self, clone: Path, later: datetime) -> None:
        project = lived(clone)
        (clone / "params.yaml").write_text(
            (clone / "params.yaml").read_text() + "\nkeep:\n  predictions: 60d\n"
        )
        project = Project.at(clone)
        for month in ("2026-01", "2026-02", "2026-03"):
            folder = project.folder.predictions / "parquet" / month
            folder.mkdir(parents=True)
            (folder / "segment.parquet").write_text("rows")
        as_of = datetime(2026, 4, 10, tzinfo=UTC)
        project.ledger.record(made(DriftChecked), cause=project.promoted(), as_of=as_of)
        gone = [one.what for one in collect(project, now=later) if one.what.startswith("predictions")]
        assert gone == ["predictions 2026-01"]
        left = {path.parent.name for path in project.folder.predictions.rglob("*.parquet")}
        assert left == {"2026-02", "2026-03"}
        assert not [one for one in plan(project, now=later) if one.what.startswith("predictions")]

    def test_what_was_set_aside_goes_by_rule(self, clone: Path, later: datetime) -> None:
        project = lived(clone)
        home = project.folder.home
        set_aside = [
            "quarantine/june-01.jsonl",
            "aside/data/1f0c-aa.parquet",
            "aside/20260101T000000/ledger.db",
        ]
        for name in set_aside:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text("rows")
        collect(project, now=later)
        assert all((home / name).exists() for name in set_aside)
        params = (clone / "params.yaml").read_text()
        (clone / "params.yaml").write_text(f"{params}\nkeep:\n  quarantine: 90d\n  aside: 90d\n")
        gone = {one.what for one in collect(Project.at(clone), now=later)}
        assert gone == {"quarantine june-01.jsonl", "aside 20260101T000000", "aside 1f0c-aa.parquet"}
        assert not [name for name in set_aside if (home / name).exists()]
        assert project.folder.aside.is_dir()

    def test_nothing_goes_while_a_training_runs(self, clone: Path, later: datetime) -> None:
        project = lived(clone)
        with project.lock("retrain"), pytest.raises(ConflictError, match="'retrain'"):
            collect(project, now=later)
        assert len(list(project.folder.bundles.iterdir())) == len(DIGESTS)
        assert not project.lock("deploy").is_locked

    def test_a_cache_that_others_share_is_left_alone(self, say: Say, clone: Path, tmp_path: Path) -> None:
        config = clone / ".dvc" / "config.local"
        config.write_text(f"[cache]\n    dir = {tmp_path / 'shared'}\n")
        told = say(clone, "gc", "--cache", "--yes")
        assert told.code == 2
        assert "dvc gc" in told.err


class TestBackup:
    @pytest.fixture
    def project_with_rows(self, clone: Path) -> Iterator[Project]:
        """A project with a history, whose service is writing."""
        project = lived(clone)
        (clone / ".mlops" / "run").mkdir()
        (clone / ".mlops" / "run" / "tools.pid").write_text("1")
        log = PredictionLog(project.folder.predictions, "plums-v1")
        record = {
            "id": "one", "key": "p1", "time": "2026-01-05T00:00:00+00:00", "at": "2026-01-05T00:00:00+00:00",
            "deployment": "plums-v1", "version": "1", "prediction": True,
            "features": {"size": 4.0, "heat": 20.0, "colour": "red"}, "score": [0.1, 0.9],
        }  # fmt: skip
        log.write([record])
        with next((project.folder.predictions / "open").rglob("*.jsonl")).open("a") as torn:
            torn.write('{"id": "tw')
        yield project
        log.close()

    def test_what_was_saved_comes_back_elsewhere(
        self, say: Say, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        file, root = tmp_path / "saved.tar.gz", project_with_rows.folder.root
        told = say(root, "backup", str(file))
        assert told.code == 0, told.err
        assert "Not in it: the data" in told.out
        other = cloned(stamp, tmp_path / "other")
        told = say(other, "restore", str(file))
        assert told.code == 0, told.err
        assert entries(other) == entries(root)
        there, here = Project.at(other), Project.at(root)
        rows = reader.read(there.folder.predictions, there.schema)
        assert rows.equals(reader.read(here.folder.predictions, here.schema).iloc[:1])
        assert sorted(path.name for path in there.folder.bundles.iterdir()) == DIGESTS
        assert not (other / ".mlops" / "run").exists()
        assert not (other / ".mlops.restoring").exists()

    def test_what_others_keep_and_what_lies_on_another_disk_is_saved(
        self, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        home = project_with_rows.folder.home
        (home / "bundles").rename(tmp_path / "bundles")
        (home / "bundles").symlink_to(tmp_path / "bundles")
        (home / "bundles" / "again").symlink_to(home)
        kept = [
            "mlflow/artifacts/1/r/artifacts/dvc.lock",
            "mlflow/artifacts/1/r/artifacts/rows.tmp/a.new",
            "quarantine/june-01.jsonl",
            "aside/data/1f0c-000001-aa.parquet",
        ]
        passed_over = [
            "bundles/.abc.7.tmp/manifest.json",
            "labels/.00001.parquet.7.tmp",
            "quarantine/.july-02.jsonl.7.tmp",
            "fetched/person/ab/.rows.parquet.7.tmp/000000",
            "runs/.one.json.7.tmp",
            "ledger.db-wal",
            "aside/20260101T000000/ledger.db",
            "worktree.lock",
        ]
        for name in [*kept, *passed_over]:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            if not (home / name).exists():
                (home / name).write_text(name)
        saved = backup(project_with_rows, tmp_path / "saved.tar")
        assert any(".mlops/aside" in one for one in saved.absent)
        other = Project.at(cloned(stamp, tmp_path / "other"))
        restore(other, tmp_path / "saved.tar")
        assert [name for name in kept if not (other.folder.home / name).is_file()] == []
        assert [name for name in passed_over if (other.folder.home / name).exists()] == []
        assert sorted(path.name for path in other.folder.bundles.iterdir()) == DIGESTS

    def test_no_run_of_the_other_machine_seems_to_live_on(
        self, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        home = project_with_rows.folder.home
        (home / "runs").mkdir()
        (home / "runs" / "one.json").write_text('{"format": 1, "host": "another", "process": "7@1000.00"}')
        backup(project_with_rows, tmp_path / "saved.tar")
        other = Project.at(cloned(stamp, tmp_path / "other"))
        restore(other, tmp_path / "saved.tar")
        assert [(mark.run, mark.is_dead) for mark in marks(other.folder.home)] == [("one", True)]
        assert not any(mark.is_dead for mark in marks(home))

    def test_a_history_is_never_written_over(
        self, say: Say, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "saved.tar"
        backup(project_with_rows, file)
        other = cloned(stamp, tmp_path / "other")
        own = Project.at(other).ledger.record(made(DataVersioned, rows=1))
        told = say(other, "restore", str(file))
        assert told.code == 2
        assert "--force" in told.err
        assert entries(other) == [own]
        assert say(other, "restore", str(file), "--force").code == 0
        assert entries(other) == entries(project_with_rows.folder.root)
        [aside] = (other / ".mlops" / "aside").iterdir()
        assert (aside / "ledger.db").is_file()
        status = subprocess.run(["git", "status", "--porcelain"], cwd=other, capture_output=True, text=True)
        assert status.stdout == ""

    def test_a_damaged_backup_replaces_nothing(
        self, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "saved.tar"
        backup(project_with_rows, file)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        other = cloned(stamp, tmp_path / "other")
        with pytest.raises(MlopsError, match=r"is corrupt|truncated"):
            restore(Project.at(other), file)
        assert not (other / ".mlops" / "bundles").exists()
        assert not (other / ".mlops.restoring").exists()

    def test_a_backup_of_another_project_is_refused(
        self, say: Say, project_with_rows: Project, stamp: Path, tmp_path: Path
    ) -> None:
        backup(project_with_rows, tmp_path / "saved.tar")
        other = cloned(stamp, tmp_path / "other")
        (other / "params.yaml").write_text(
            (other / "params.yaml").read_text().replace("name: plums", "name: pears")
        )
        told = say(other, "restore", str(tmp_path / "saved.tar"))
        assert told.code == 2
        assert "a backup of plums, and this project is pears" in told.err

    def test_a_ledger_elsewhere_is_told(
        self, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLOPS_LEDGER_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
        saved = backup(Project.at(clone), tmp_path / "saved.tar")
        assert any("MLOPS_LEDGER_URI" in one for one in saved.absent)

    def test_it_does_not_save_itself(self, say: Say, clone: Path) -> None:
        (clone / ".mlops").mkdir()
        told = say(clone, "backup", str(clone / ".mlops" / "saved.tar"))
        assert told.code == 2
        assert "outside .mlops" in told.err


def test_who_backs_up_goes_on_reading_the_ledger(project: Path, tmp_path: Path) -> None:
    opened = Project.at(project)
    first = opened.ledger.record(RunRequested(flow="train"))
    backup(opened, tmp_path / "saved.tar.gz")
    # Another process that finds no lock on the ledger takes its write-ahead log away as it ends.
    program = (
        "import sys; from mlops.ledger.records import RunRequested; from mlops.ledger.store import Ledger; "
        "Ledger(sys.argv[1]).record(RunRequested(flow='train'))"
    )
    for rows in (2, 3):
        subprocess.run([sys.executable, "-c", program, opened.folder.ledger_uri], check=True)
        since = [entry for entry in opened.ledger.entries() if entry.recorded_at >= first.recorded_at]
        assert len(since) == rows
    opened.ledger.close()
