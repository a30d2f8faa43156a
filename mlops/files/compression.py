"""Decompress a file as a stream; its suffix selects the codec."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["DAMAGED", "SUFFIXES", "opened", "plain_name"]

DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, lzma.LZMAError)
"""What reading a damaged file raises, beside OSError and ValueError."""

SUFFIXES = (".gz", ".zip", ".bz2", ".xz", ".zst")

_ENCRYPTED = 0x1
"""The flag of a member of a zip that needs a password."""


def plain_name(path: Path) -> str:
    """Return a file's name without the suffix of its compression: ``april.csv`` of ``april.csv.gz``."""
    return path.stem if path.suffix in SUFFIXES else path.name


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading its plain bytes.

    Raises
    ------
    ValueError
        It is a zip of several files, or an encrypted one.
    """
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not (name.endswith("/") or _is_of_macos(name))]
            if len(names) != 1:
                raise ValueError(f"it holds {len(names)} files, where one is a table")
            if archive.getinfo(names[0]).flag_bits & _ENCRYPTED:
                raise ValueError(f"{names[0]} in it is encrypted")
            with archive.open(names[0]) as file:
                yield file
    elif path.suffix == ".zst":
        import pyarrow as pa

        with pa.input_stream(path, compression="zstd") as file:
            yield file
    else:
        openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        with openers.get(path.suffix, Path.open)(path, "rb") as file:
            yield file


def _is_of_macos(name: str) -> bool:
    """Return whether macOS put a file into a zip, beside what a person did."""
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] == ".DS_Store"
