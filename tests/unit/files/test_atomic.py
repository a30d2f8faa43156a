from __future__ import annotations

from pathlib import Path

import pytest

from mlops.files.atomic import write_text


def test_a_text_takes_the_place_of_the_one_before_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    (tmp_path / ".note.txt.tmp").write_text("half of what a killed one wr")
    for text in ("größer", "kleiner"):
        write_text(file, text)
        assert file.read_bytes() == text.encode()
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_text(file, "whole")
    (tmp_path / ".note.txt.tmp").mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="directory"):
        write_text(file, "new")
    assert file.read_text() == "whole"
