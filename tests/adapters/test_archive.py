"""Archives on the real disk: whole or not there, and nothing in them believed unread."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from mlops.errors import MlopsError, UsageError
from mlops.files import archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "rows.bin").write_bytes(os.urandom(300_000))
    (folder / "empty").touch()
    return folder


def written(folder: Path, file: Path) -> Path:
    with archive.write(file, {"project": "plums"}) as out:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            out.add(f"home/{path.relative_to(folder).as_posix()}", path)
    return file


def test_what_takes_long_tells_of_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="mlops")
    file = written(folder, tmp_path / "quick.tar")
    assert caplog.messages == []
    monkeypatch.setattr(archive, "_REPORT_EVERY", 0.0)
    archive.extract(file, tmp_path / "out")
    written(folder, tmp_path / "slow.tar")
    assert {line.partition("MB ")[2] for line in caplog.messages} == {"read and compared", "written"}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_what_was_written_comes_back(folder: Path, tmp_path: Path, name: str) -> None:
    file = written(folder, tmp_path / name)
    manifest = archive.extract(file, tmp_path / "out")
    assert manifest.about == {"project": "plums"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(manifest.files) == {"home/deep/rows.bin", "home/empty"}
    came = tmp_path / "out" / "home" / "deep" / "rows.bin"
    assert came.read_bytes() == (folder / "deep" / "rows.bin").read_bytes()
    assert int(came.stat().st_mtime) == int((folder / "deep" / "rows.bin").stat().st_mtime)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "kept", "out"])


def test_a_file_that_grows_while_it_is_read_is_as_long_as_at_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n")

    class Growing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            self.seek(0, io.SEEK_END)
            self.write(b"two\n")
            self.seek(0)
            return super().read(size)

    with archive.write(tmp_path / "a.tar", {}) as out:
        out._add("log", Growing(b"one\n"), log.stat())
        out.add("gone", tmp_path / "gone")
    assert list(archive.extract(tmp_path / "a.tar", tmp_path / "out").files) == ["log"]
    assert (tmp_path / "out" / "log").read_bytes() == b"one\n"


def test_a_failure_midway_leaves_no_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match="deep"), archive.write(tmp_path / "a.tar.gz", {}) as out:
        out.add("deep", folder / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_text("dear")
    with pytest.raises(UsageError, match="exists"), archive.write(tmp_path / "a.tar.gz", {}):
        pass
    assert (tmp_path / "a.tar.gz").read_text() == "dear"


def test_a_name_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.tar\.gz"), archive.write(tmp_path / "a.zip", {}):
        pass


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_one_that_was_cut_off_is_refused(folder: Path, tmp_path: Path, share: float) -> None:
    file = written(folder, tmp_path / "a.tar.gz")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MlopsError, match="truncated or not a backup"):
        archive.extract(file, tmp_path / "out")


def test_one_flipped_byte_is_named(folder: Path, tmp_path: Path) -> None:
    file = written(folder, tmp_path / "a.tar")
    content = bytearray(file.read_bytes())
    content[100_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(MlopsError, match=r"is corrupt: home/deep/rows\.bin"):
        archive.extract(file, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "home/../../evil"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(MlopsError, match="no plain file within it"):
        archive.extract(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("home/link")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(MlopsError, match="no plain file within it"):
        archive.extract(tmp_path / "a.tar", tmp_path / "out")


def test_one_file_more_than_the_manifest_tells_is_refused(folder: Path, tmp_path: Path) -> None:
    file = written(folder, tmp_path / "a.tar")
    with tarfile.open(file, "a") as tar:
        tar.add(folder / "empty", "home/more")
    with pytest.raises(MlopsError, match="is corrupt: home/more"):
        archive.extract(file, tmp_path / "out")
