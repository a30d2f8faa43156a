"""The table that a command's argument names: a file, or an address, whose file is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops.config.settings import expanded
from mlops.data import source
from mlops.errors import UsageError

__all__ = ["absolute", "local_path", "open_table", "resolve_tables"]


def absolute(word: str) -> str:
    """Return an argument as it means the same in another folder: an address stays as it is.

    Raises
    ------
    UsageError
        It is ``-``, which means no file here, or an address with a password or token in it.
    """
    if _is_address(word):
        source.check_address(word)
        return word
    return str(_path(word).absolute())


def local_path(word: str, *, argument: str) -> Path:
    """Return the file or folder of this machine that an argument names.

    Parameters
    ----------
    argument
        What the command calls it, for the message.

    Raises
    ------
    UsageError
        It is an address, or ``-``.
    """
    if _is_address(word):
        raise UsageError(
            f"{argument} is an address, {word}: this command reads and writes files of this machine.",
            remedy="Name a file or a folder; copy it from or to the address beside this command.",
        )
    return _path(word).absolute()


@contextmanager
def open_table(word: str, *, env: Path | None = None) -> Iterator[Path]:
    """Give the one table that an argument names, as a file; at an address it is fetched for as long as this.

    Parameters
    ----------
    env
        As for `resolve_tables`.

    Raises
    ------
    UsageError
        There is none, or there are several.
    """
    with TemporaryDirectory(prefix="mlops-") as folder:
        tables = resolve_tables(word, Path(folder), env=env)
        if len(tables) != 1:
            raise UsageError(
                f"{word} names {len(tables):,} tables: this command takes one.",
                remedy="Name one of them, or write them to one file.",
            )
        yield tables[0]


def resolve_tables(word: str, folder: Path, *, env: Path | None = None) -> list[Path]:
    """Return the tables of a path, a pattern or an address; those at an address are fetched into `folder`.

    Parameters
    ----------
    env
        A file of variables: an address names its password or token as ``${NAME}``, one of them or of the
        environment's.

    Raises
    ------
    UsageError, DataError
        There are none, or the address has a password or token in it.
    """
    if _is_address(word):
        from mlops.adapters.sources.remote_files import AddressSource

        source.check_address(word)
        return [fetched.file for fetched in AddressSource(expanded(word, env)).fetch(None, folder)]
    _path(word)
    return source.named_tables(word, Path.cwd())


def _is_address(word: str) -> bool:
    return "://" in word


def _path(word: str) -> Path:
    if word == "-":
        raise UsageError(
            "- is no table: nothing is read from stdin or written to stdout as one.",
            remedy="Name a file; one that is called so is ./-.",
        )
    return Path(word)
