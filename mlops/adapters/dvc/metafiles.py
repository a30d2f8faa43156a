"""DVC's records in a tree, dvc.lock and the pointers: each is whole, whoever is killed when.

DVC empties such a file before it writes it, and cannot read an empty one. What mends that leans on
private parts of DVC, which is why pyproject.toml bounds it: see tests/contract/test_vendor_seams.py.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.serialize import ParseError, _common, _yaml
from dvc.utils.strictyaml import YAMLValidationError

from mlops.config.paths import DVC_LOCK
from mlops.errors import DataError, shown
from mlops.files import atomic

__all__ = ["damaged", "reason", "written_whole"]

_plain = _common._dump_data


@contextmanager
def written_whole(root: Path) -> Iterator[None]:
    """Let DVC write its records of the tree at `root` elsewhere, and put each in its place when it is whole.

    What it writes into its cache it renames by itself, perhaps on another disk.
    """

    def dump(path: Any, data: Any, dumper: Callable[..., Any], fs: Any = None, **how: Any) -> None:
        if not _is_record(Path(path)) or not Path(path).is_relative_to(root):
            _plain(path, data, dumper, fs=fs, **how)
            return
        text = io.StringIO()
        dumper(data, text, **how)
        # Not beside the file, where git would list what a kill leaves.
        atomic.write_text(Path(path), text.getvalue(), beside=root / ".dvc" / "tmp")

    _common._dump_data = _yaml._dump_data = dump
    try:
        yield
    finally:
        _common._dump_data = _yaml._dump_data = _plain


def damaged(root: Path, exc: DvcException) -> DataError | None:
    """Return the error for a record in the tree at `root` that DVC could not read."""
    if not isinstance(exc, ParseError | YAMLValidationError) or not exc.path:
        return None
    path = Path(exc.path).resolve()  # DVC gives it relative to the process's folder
    if not _is_record(path):
        return None
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    anew = ", or remove it: the next training writes it anew" if path.name == DVC_LOCK else ""
    return DataError(
        f"DVC cannot read {path}: it is truncated, or has merge conflict markers.",
        remedy=f"Restore the committed file: `git -C {root} checkout HEAD -- {name}`{anew}.",
    )


def _is_record(path: Path) -> bool:
    return path.name == DVC_LOCK or path.suffix == ".dvc"


def reason(exc: DvcException) -> str:
    """Return DVC's message of an error, with the places in the file that it prints only to a terminal."""
    if not isinstance(exc, YAMLValidationError):
        return str(exc)
    errors = [
        f"{error.error_message} at {'.'.join(map(str, error.path)) or 'the top'}" for error in exc.exc.errors
    ]
    return f"{exc}: {shown(errors)}"
