"""A loop whose disk fills up while it runs, and goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.orchard import HISTORY, Orchard, plums, stamped
from tests.small_disk import SmallDisk, small_disk

pytestmark = [pytest.mark.story, pytest.mark.mount, pytest.mark.timeout(900)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 120) as mounted:
        yield mounted


@pytest.fixture
def orchard(disk: SmallDisk) -> Iterator[Orchard]:
    """A project on the small disk that runs, with its first model deployed."""
    orchard = Orchard(stamped(disk.folder / "plums"))
    history = disk.folder / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(history)
    try:
        for words in (["up"], ["ingest", str(history)], ["train"], ["deploy"]):
            done = orchard.mlops(*words)
            assert done.code == 0, done.err
        yield orchard
    finally:
        down = orchard.mlops("down", "--serving")
    assert down.code == 0, down.err


def test_what_is_done_on_a_full_disk_names_it_and_is_done_once_there_is_room(
    orchard: Orchard, disk: SmallDisk, tmp_path: Path
) -> None:
    home, more = orchard.root / ".mlops", tmp_path / "more.parquet"
    plums(HISTORY, 10, season=0).to_parquet(more)
    # Whatever wrote it, a server or a command: nobody else may read it.
    assert [path for path in home.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077] == []
    assert home.stat().st_mode & 0o777 == 0o700
    disk.fill()
    scores = tmp_path / "scores.parquet"
    writing = (
        ["ingest", str(more)], ["train", "--force"], ["deploy"], ["score", str(more), str(scores)],
        ["schedule", "set", "monitor", "1d"], ["backup", str(disk.folder / "b.tar")],
    )  # fmt: skip
    for words in writing:
        done = orchard.mlops(*words)
        assert done.code == 1, words
        assert "No space is left on the disk of " in done.err, (words, done.err)
        assert "Traceback" not in done.err, words
    for words in (["status"], ["data", "log"], ["data", "check", str(more)], ["schedule"], ["gc"]):
        done = orchard.mlops(*words)
        assert done.code == 0, (words, done.err)
    # What DVC leaves half-written in its cache is swept by the runner, an hour later.
    left = [path for path in orchard.root.rglob(".*.tmp") if "cache" not in path.parts]
    assert left == []
    disk.free()
    for words in (["up"], *writing):
        done = orchard.mlops(*words)
        assert done.code in {0, 3}, (words, done.err)
    assert scores.is_file()
