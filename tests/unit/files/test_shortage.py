"""What a machine ran out of, read from whatever was raised."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from pathlib import Path

import pytest

from mlops.errors import DataError, MlopsError, ShortageError
from mlops.files.shortage import find_shortage, open_files_limit, probe, processes_limit

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space is left on the disk of"),
        (errno.EDQUOT, "quota is used up on the disk of"),
        (errno.EROFS, "is mounted read-only"),
        (errno.EFBIG, "exceeds the size"),
    ],
)
def test_a_number_of_the_system_s_is_put_in_words_with_the_path(number: int, said: str) -> None:
    plain = OSError(number, os.strerror(number), "/data/lake/rows.parquet")
    wrapped = DataError("The table cannot be written.")
    wrapped.__cause__ = ValueError()
    wrapped.__cause__.__context__ = plain
    for exc in (plain, wrapped, ExceptionGroup("several", [ValueError(), plain])):
        found = find_shortage(exc, HERE)
        assert found is not None
        assert said in found.message
        assert "/data/lake/rows.parquet" in found.message
        assert "run the same command again" in found.remedy


def test_open_files_are_told_with_their_number() -> None:
    found = find_shortage(OSError(errno.EMFILE, "Too many open files"), HERE)
    assert found is not None
    assert str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) in found.message
    assert "ulimit -n" in found.remedy


@pytest.mark.parametrize(
    "text",
    [
        "fatal: could not write to '/data/.git/index': No space left on device",
        "MLflow rejected the request: (sqlite3.OperationalError) database or disk is full",
        "fatal: sha1 file '/data/.git/index.lock' write error. Out of diskspace",
    ],
)
def test_the_words_of_a_client_do_where_there_is_no_number(text: str) -> None:
    found = find_shortage(MlopsError(text), HERE)
    assert found is not None
    # This disk has room: it was another one, which the words may name.
    assert text in found.message
    assert find_shortage(RuntimeError("can't start new thread"), HERE) is not None


def test_sqlite_s_own_code_is_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("PRAGMA max_page_count=2")
        with pytest.raises(sqlite3.OperationalError) as raised:
            database.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 9)
    database.close()
    found = find_shortage(raised.value, tmp_path / "db")
    assert found is not None
    assert str(tmp_path / "db") in found.message


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("full of errors"),
        OSError(errno.ENOENT, "none", "/x"),
        BlockingIOError(errno.EAGAIN, "busy"),
    ],
)
def test_other_errors_are_none_of_a_shortage(exc: Exception) -> None:
    assert find_shortage(exc, HERE) is None


def test_a_shortage_found_before_is_given_as_it_is() -> None:
    first = ShortageError("No space.", remedy="Free some.")
    second = MlopsError("A stage failed.")
    second.__cause__ = first
    assert find_shortage(second, HERE) is first


def test_a_disk_with_room_is_no_shortage_even_below_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert probe(tmp_path / "not" / "yet") is None
    assert list(tmp_path.iterdir()) == []
    assert open_files_limit() > 0 < processes_limit()
