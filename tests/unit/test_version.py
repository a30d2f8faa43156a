from __future__ import annotations

import pytest

from mlops.errors import DataError
from mlops.version import DatasetVersion, read_pointer


def test_a_pointer_to_a_folder_names_its_bytes() -> None:
    text = "outs:\n- md5: 0c8a759d.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: lake\n"
    assert read_pointer(text, commit="abc") == DatasetVersion("0c8a759d.dir", files=2, commit="abc")


def test_a_pointer_to_a_file_names_one() -> None:
    assert read_pointer("outs:\n- md5: 0c8a\n  path: table.csv\n").files == 1


@pytest.mark.parametrize("text", ["", "outs: []", "outs:\n- path: lake\n", "<<<<<<< HEAD\nouts:\n", "[1"])
def test_what_is_no_pointer_says_what_to_do(text: str) -> None:
    with pytest.raises(DataError, match="dvc add"):
        read_pointer(text)
