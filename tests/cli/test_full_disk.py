"""Commands in a project whose disk takes nothing more, or nothing at all."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops.errors import ShortageError
from mlops.ledger.records import RunRequested
from mlops.ledger.store import Ledger
from mlops.project.context import Project
from tests.flows.orchard import Told
from tests.ledger_rows import made
from tests.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.mount

Say = Callable[..., Told]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 8) as mounted:
        yield mounted


@pytest.fixture
def root(disk: SmallDisk, stamp: Path) -> Path:
    """A project on the small disk, with a row in its ledger and no file of shared memory beside it."""
    folder = disk.folder / "plums"
    subprocess.run(["git", "clone", "-q", str(stamp), str(folder)], check=True)
    (folder / ".env").write_text((stamp / ".env").read_text())
    recorded(folder)
    return folder


def recorded(root: Path) -> None:
    """Leave a row in the write-ahead log, as a process does that is killed."""
    ledger = Project.at(root).ledger
    ledger.record(made(RunRequested))
    home = root / ".mlops"
    saved = {name: (home / name).read_bytes() for name in ("ledger.db", "ledger.db-wal")}
    ledger.close()
    for name, content in saved.items():
        (home / name).write_bytes(content)
    assert saved["ledger.db-wal"]


def litter(root: Path) -> list[Path]:
    return [path for path in root.rglob(".*.tmp") if ".git/" not in str(path)]


def test_what_only_reads_reads_on_a_full_disk(say: Say, root: Path, disk: SmallDisk) -> None:
    disk.fill()
    for words in (["status"], ["schedule"], ["gc"], ["data", "log"]):
        told = say(root, *words)
        assert told.code == 0, (words, told.err)
        assert "Traceback" not in told.err


def test_what_writes_names_the_disk_and_does_it_once_there_is_room(
    say: Say, root: Path, disk: SmallDisk
) -> None:
    disk.fill()
    told = say(root, "schedule", "set", "monitor", "1d")
    assert told.code == 1
    assert told.err.startswith("error: No space is left on the disk of ")
    assert str(root) in told.err
    assert "mlops gc" in told.err
    assert "Traceback" not in told.err
    assert litter(root) == []
    told = say(root, "doctor")
    assert told.code == 1
    assert "FAIL  disk" in told.out
    assert "No space is left" in told.out
    disk.free()
    told = say(root, "schedule", "set", "monitor", "1d")
    assert "No space" not in told.err
    assert "monitor: 1d" in (root / "params.yaml").read_text()


def test_a_disk_that_is_read_only_is_read_and_named(say: Say, root: Path, disk: SmallDisk) -> None:
    disk.read_only()
    try:
        assert say(root, "status").code == 0
        told = say(root, "schedule", "set", "monitor", "1d")
        assert told.code == 1
        assert "is mounted read-only" in told.err
        assert "FAIL  disk" in say(root, "doctor").out
    finally:
        disk.read_only(False)


def test_a_ledger_on_a_full_disk_is_read_and_takes_rows_once_there_is_room(
    root: Path, disk: SmallDisk
) -> None:
    disk.fill()
    ledger = Project.at(root).ledger
    assert [entry.kind for entry in ledger.entries()] == ["run.requested"]
    with pytest.raises(ShortageError, match="No space is left"):
        ledger.record(made(RunRequested))
    disk.free()
    ledger.record(made(RunRequested))
    assert len(ledger.entries()) == 2
    ledger.close()


def test_where_there_is_no_ledger_yet_a_full_disk_is_named(disk: SmallDisk) -> None:
    disk.fill()
    with pytest.raises(ShortageError, match="No space is left"):
        Ledger(f"sqlite:///{disk.folder / 'ledger.db'}")
