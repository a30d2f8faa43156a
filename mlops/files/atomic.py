"""Small files that are whole or not there: a reader, and whoever comes after a kill, never sees a part."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_text"]


def write_text(path: Path, text: str, *, aside: Path | None = None) -> None:
    """Put `text` in the place of `path`, in UTF-8; its folder must be there.

    A kill leaves the old content, and perhaps ``.NAME.tmp`` beside it, which the next write takes.

    Parameters
    ----------
    aside
        A folder on the same disk for that one, where nothing else may lie beside `path`.
    """
    partial = (aside or path.parent) / f".{path.name}.tmp"
    partial.write_text(text, "utf-8")
    partial.replace(path)
