"""An archive: files in one tar, with the sha256 of each, whole or not there at all.

The manifest is the last member: what is written while others write is hashed as it is read, once.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mlops.errors import MlopsError, UsageError
from mlops.files import atomic, formats

__all__ = ["Archive", "Manifest", "extract", "write"]

_MANIFEST = "manifest.json"
_FORMAT = 1
_MODES = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz"}
_LEVEL = 3  # most of what is in it is compressed already
_CHUNK = 1024 * 1024
_REPORT_EVERY = 5.0
"""Seconds between two lines of progress."""

log = logging.getLogger("mlops")


@dataclass(frozen=True)
class Manifest:
    """What an archive holds.

    Parameters
    ----------
    about
        Whatever its writer recorded about it.
    files
        The sha256 of each file by its name in the archive.
    """

    about: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass
class Archive:
    """An archive that is being written."""

    tar: tarfile.TarFile
    files: dict[str, str] = field(default_factory=dict)
    progress: _Progress = field(default_factory=lambda: _Progress("written"))

    def add(self, name: str, source: Path) -> None:
        """Add a file with its current length; a missing one is skipped."""
        try:
            with source.open("rb") as file:
                self._add(name, file, os.fstat(file.fileno()))
        except FileNotFoundError:
            return

    def add_bytes(self, name: str, content: bytes, like: os.stat_result) -> None:
        """Add content under a name, with the mode and time of another file."""
        self._add(name, BytesIO(content), like, size=len(content))

    def _add(self, name: str, file: BinaryIO, like: os.stat_result, size: int | None = None) -> None:
        member = tarfile.TarInfo(name)
        member.size = like.st_size if size is None else size
        member.mode, member.mtime = like.st_mode & 0o777, int(like.st_mtime)
        reader = _Hashing(file, self.progress)
        self.tar.addfile(member, reader)
        self.files[name] = reader.digest.hexdigest()


class _Progress:
    """Logs every few seconds how many bytes were processed."""

    def __init__(self, done: str) -> None:
        self._done = done
        self._bytes = 0
        self._reported_at = time.monotonic()

    def count(self, more: int) -> None:
        self._bytes += more
        if time.monotonic() - self._reported_at >= _REPORT_EVERY:
            self._reported_at = time.monotonic()
            log.info("%s MB %s", f"{self._bytes / 1e6:,.0f}", self._done)


class _Hashing:
    """Reads a file and hashes what was read."""

    def __init__(self, file: BinaryIO, progress: _Progress) -> None:
        self._file = file
        self._progress = progress
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        self._progress.count(len(chunk))
        return chunk


@contextmanager
def write(file: Path, about: Mapping[str, Any]) -> Iterator[Archive]:
    """Write an archive; killed or failed midway, there is no file of that name.

    Raises
    ------
    UsageError
        The file exists, or its name does not end as an archive's.
    MlopsError
        It cannot be written.
    """
    mode = _MODES.get(file.suffix)
    if mode is None or file.exists():
        why = "exists" if mode else "is no name of an archive"
        raise UsageError(f"{file} {why}.", remedy="Give another name that ends in .tar.gz or .tar.")
    options: dict[str, Any] = {"mode": mode} | ({"compresslevel": _LEVEL} if mode == "w:gz" else {})
    try:
        with atomic.replaced(file, durable=True) as partial:
            partial.touch(mode=0o600)  # requests and predictions are private
            with partial.open("wb") as raw, tarfile.open(fileobj=raw, **options) as tar:
                archive = Archive(tar)
                yield archive
                manifest = {"format": _FORMAT, "about": dict(about), "files": archive.files}
                content = json.dumps(manifest, indent=1, default=str).encode()
                member = tarfile.TarInfo(_MANIFEST)
                member.size = len(content)
                tar.addfile(member, BytesIO(content))
    except OSError as exc:
        raise MlopsError(f"{file} cannot be written: {exc}.", remedy="Choose a place with space.") from exc


def extract(file: Path, into: Path) -> Manifest:
    """Extract an archive into a folder and compare each file with the manifest.

    Raises
    ------
    UsageError
        There is no such file.
    MlopsError
        It is no archive of ours, is cut off, holds a name that leads out of the folder, or a
        file of it differs from the manifest; that is named. Do not use what was extracted.
    """
    digests: dict[str, str] = {}
    manifest_bytes: bytes | None = None
    progress = _Progress("read and compared")
    try:
        with tarfile.open(file, "r|*") as tar:
            for member in tar:
                if member.name == _MANIFEST:
                    manifest_bytes = _content(tar, member).read()
                else:
                    digests[member.name] = _extract(tar, member, into / _inside(member, file), progress)
        manifest = json.loads(manifest_bytes or b"")
        formats.check(manifest["format"], _FORMAT, where=str(file))
        files = dict(manifest["files"])
    except FileNotFoundError as exc:
        raise UsageError(f"There is no file {file}.", remedy="Name what `mlops backup` wrote.") from exc
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError, TypeError) as exc:
        raise _broken(file, f"is truncated or not a backup ({exc or type(exc).__name__})") from exc
    mismatched = sorted(name for name in {*files, *digests} if files.get(name) != digests.get(name))
    if mismatched:
        raise _broken(file, f"is corrupt: {mismatched[0]} differs from the manifest")
    return Manifest(manifest["about"], files)


def _inside(member: tarfile.TarInfo, file: Path) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise _broken(file, f"holds {member.name!r}, which is no plain file within it")
    return path


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, progress: _Progress) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = _Hashing(_content(tar, member), progress)
    with path.open("wb") as out:
        while chunk := reader.read(_CHUNK):
            out.write(chunk)
    path.chmod(member.mode & 0o755)
    os.utime(path, (member.mtime, member.mtime))
    return reader.digest.hexdigest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content  # type: ignore[return-value]  # IO[bytes] in the stubs


def _broken(file: Path, what: str) -> MlopsError:
    return MlopsError(f"{file} {what}.", remedy="Nothing was replaced. Use another backup.")
