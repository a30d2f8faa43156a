"""Files and folders that are for the person's eyes alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.files import private


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_what_is_made_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    folder = private.create_folder(tmp_path / "home")
    private.create_file(folder / "config")
    assert (mode(folder), mode(folder / "config")) == (0o700, 0o600)
    folder.chmod(0o755)
    (folder / "config").chmod(0o644)
    private.create_folder(folder)
    private.create_file(folder / "config")
    assert (mode(folder), mode(folder / "config")) == (0o700, 0o600)


def test_a_folder_is_closed_with_all_in_it_but_what_links_point_to(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    outside.write_text("a table")
    (home / "deep" / "er").mkdir(parents=True)
    (home / "mlflow").mkdir()
    for file in (outside, home / "deep" / "er" / "rows", home / "mlflow" / "db"):
        file.write_text("")
        file.chmod(0o644)
    (home / "deep" / "run").write_text("")
    (home / "deep" / "run").chmod(0o755)
    (home / "link").symlink_to(outside)
    private.tighten(home, skip=("mlflow",))
    modes = {path.name: oct(mode(path)) for path in home.rglob("*") if not path.is_symlink()}
    assert modes == {
        "deep": "0o700", "er": "0o700", "rows": "0o600", "run": "0o700", "mlflow": "0o700", "db": "0o644",
    }  # fmt: skip
    assert (mode(home), mode(outside)) == (0o700, 0o644)


def test_the_umask_is_read_and_stays(umask: int) -> None:
    assert private.current_umask() == umask == private.current_umask()
