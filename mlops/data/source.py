"""Where rows come from: a source gives tables, each a file on this disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Protocol

from mlops.addresses import has_secret
from mlops.config.settings import expanded
from mlops.errors import DataError, UsageError
from mlops.tables.readers import is_table

__all__ = ["Fetched", "FileSource", "Source", "SourceContext", "check_address", "named_tables", "tables"]


@dataclass(frozen=True)
class Fetched:
    """A table that a source gave.

    Parameters
    ----------
    file
        Where it lies, byte for byte as it came.
    name
        What a person calls it.
    position
        A JSON value: the source's position after this table. None where a table is
        new by its content alone.
    again
        Whether it may contain rows that were fetched before, beside new ones.
    """

    file: Path
    name: str
    position: Any = None
    again: bool = False


@dataclass(frozen=True)
class SourceContext:
    """What a source may know of the project.

    Parameters
    ----------
    name
        `data.name` of params.yaml.
    root
        The project's folder.
    """

    name: str
    root: Path

    def expand(self, text: str, *, quoted: bool = False) -> str:
        """Put the environment's values where `text` names them, see `mlops.config.settings.expanded`."""
        return expanded(text, self.root / ".env", quoted=quoted)


class Source(Protocol):
    """Where tables come from."""

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Give what is new, in the order in which it is to be taken.

        Parameters
        ----------
        since
            The position that the last table taken had; None at the first look.
        folder
            An empty one, for what has to be brought to this disk.

        Raises
        ------
        MlopsError
            The source cannot be read; the error says which and what to do.
        """
        ...


@dataclass(frozen=True)
class FileSource:
    """Files on this machine, as `tables` finds them: given at each look, new where their content is."""

    pattern: str
    root: Path

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:  # noqa: ARG002
        """Give every file that is there now, in the order of their names."""
        for path in tables(self.pattern, self.root):
            yield Fetched(path, path.name)


def named_tables(word: str, folder: Path) -> list[Path]:
    """Return the tables that a command's argument names, as `tables` does; at least one.

    Raises
    ------
    UsageError
        There is no such file or folder.
    DataError
        The folder, or the pattern, holds no table.
    """
    if not ((folder / Path(word).expanduser()).exists() or has_magic(word)):
        raise UsageError(f"There is no table {word}.", remedy="Check the path.")
    files = tables(word, folder)
    if not files:
        raise DataError(f"{word} holds no table.", remedy="Name CSV, Parquet or JSON-lines files.")
    return files


def check_address(word: str) -> None:
    """Refuse an address with a password or token in it: what a flow is given is stored and shown in Prefect.

    Raises
    ------
    UsageError
        It has one.
    """
    if has_secret(word):
        raise UsageError(
            f"{word} has a password or token in it, which Prefect would store and show.",
            remedy="Put it into the project's .env, as TOKEN=…, and write '${TOKEN}' in its place.",
        )


def tables(source: str, root: Path) -> list[Path]:
    """Return the tables that `source` names, in the order of their names.

    Parameters
    ----------
    source
        A file, a folder, whose tables are the files with a table's suffix, or a pattern as
        ``in/*.csv``; below `root` where it is relative. Hidden files are none, and an empty
        folder, or a pattern that fits nothing yet, has none.

    Raises
    ------
    UsageError
        There is no such file or folder.
    """
    source = str(Path(source).expanduser())
    path = root / source
    if path.exists() and not path.is_dir():  # a pipe, too
        return [path]
    if path.is_dir():
        files = [file for file in path.iterdir() if is_table(file.name)]
    elif has_magic(source):
        # Path's own takes no absolute pattern.
        files = [root / name for name in glob(source, root_dir=root, recursive=True)]  # noqa: PTH207
    else:
        raise UsageError(f"data.source names {path}, which is not there.", remedy="Correct params.yaml.")
    return sorted(file for file in files if file.is_file() and not file.name.startswith("."))
