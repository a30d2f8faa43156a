from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlops.files.atomic import replaced, sweep, temporary, write_text

NOBODY = 2**22 + 1
"""A number that no process of Linux has."""


def test_a_text_takes_the_place_of_the_one_before_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    (tmp_path / f".note.txt.{NOBODY}.tmp").write_text("half of what a killed one wr")
    for text in ("größer", "kleiner"):
        write_text(file, text)
        assert file.read_bytes() == text.encode()
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_text(file, "whole")
    temporary(file).mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="directory"):
        write_text(file, "new")
    assert file.read_text() == "whole"


def test_an_error_midway_leaves_the_old_and_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_text(file, "whole")
    with pytest.raises(TypeError), replaced(file, durable=True) as partial:
        partial.write_bytes("half of it")  # type: ignore[arg-type]
    assert file.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_written_elsewhere_on_the_disk_where_that_is_asked_for(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "a", tmp_path / "b"
    for folder in (place, elsewhere):
        folder.mkdir()
    with replaced(place / "note.txt", beside=elsewhere) as partial:
        partial.write_text("whole")
        assert partial.parent == elsewhere
        assert list(place.iterdir()) == []
    assert (place / "note.txt").read_text() == "whole"
    assert list(elsewhere.iterdir()) == []


def test_a_sweep_takes_what_the_dead_left_and_what_is_old_and_no_other_file(tmp_path: Path) -> None:
    dead, at_work, old = (tmp_path / f".n[1].{n}.tmp" for n in (NOBODY, os.getpid(), os.getppid()))
    of_a_person, folder = tmp_path / ".n.tmp", tmp_path / f".model.{NOBODY}.tmp"
    for file in (dead, at_work, old, of_a_person):
        file.write_text("half")
    folder.mkdir()
    (folder / "model.onnx").write_text("half")
    os.utime(old, (time.time() - 300,) * 2)
    sweep(tmp_path, "n[1]")
    assert set(tmp_path.iterdir()) == {at_work, of_a_person, folder}
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {at_work, of_a_person}
