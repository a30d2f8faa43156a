"""The small files that DVC writes, dvc.lock and the pointers: each is whole, whoever is killed when.

DVC empties such a file before it writes it, and cannot read an empty one. What mends that leans on
private parts of DVC, which is why pyproject.toml bounds it; tests/adapters/test_dvc.py holds
the seam.
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

from mlops.errors import DataError, shown
from mlops.layout import DVC_LOCK

__all__ = ["damaged", "reason", "written_whole"]


@contextmanager
def written_whole(folder: Path) -> Iterator[None]:
    """Let DVC write each of its files elsewhere and put it in its place when it is whole.

    Parameters
    ----------
    folder
        Where: on the disk of the files, in nobody's way, used by one process at a time. What a kill
        leaves there, the next write takes.
    """

    def dump(path: Any, data: Any, dumper: Callable[..., Any], **how: Any) -> None:
        how.pop("fs", None)  # of the disk, always, for files that DVC writes
        text = io.StringIO()
        dumper(data, text, **how)
        partial = folder / f"{Path(path).name}.partial"
        partial.write_text(text.getvalue(), "utf-8")
        partial.replace(path)

    plain = _common._dump_data
    _common._dump_data = _yaml._dump_data = dump
    try:
        yield
    finally:
        _common._dump_data = _yaml._dump_data = plain


def damaged(root: Path, exc: DvcException) -> DataError | None:
    """Return what to say where DVC could not read a file that it wrote itself in the tree at `root`."""
    if not isinstance(exc, ParseError | YAMLValidationError) or not exc.path:
        return None
    path = Path(exc.path).resolve()  # DVC tells it from the process's folder
    if path.name != DVC_LOCK and path.suffix != ".dvc":
        return None
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    anew = ", or remove it: the next training writes it anew" if path.name == DVC_LOCK else ""
    return DataError(
        f"DVC cannot read {path}: it was cut off as it was written, or holds the marks of a merge.",
        remedy=f"Bring back what was committed: `git checkout -- {name}`{anew}.",
    )


def reason(exc: DvcException) -> str:
    """Return what DVC says of an error, with the places in the file that it prints only to a terminal."""
    if not isinstance(exc, YAMLValidationError):
        return str(exc)
    errors = [
        f"{error.error_message} at {'.'.join(map(str, error.path)) or 'the top'}" for error in exc.exc.errors
    ]
    return f"{exc}: {shown(errors)}"
