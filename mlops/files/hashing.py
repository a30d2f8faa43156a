"""Names for content: digests of bytes, files and plain values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["md5_of", "of_bytes", "of_file", "of_value"]


def of_bytes(data: bytes) -> str:
    """Return the sha256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Return the sha256 of a file's content, read in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(path: Path) -> str:
    """Return the md5 of a file's content, as DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def of_value(value: Any) -> str:
    """Return the sha256 of a JSON value; the order of a mapping's keys does not count."""
    return of_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
