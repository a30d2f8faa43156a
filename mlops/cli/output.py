"""What a command shows: lines for people, one JSON object for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.errors import UsageError

if TYPE_CHECKING:
    from mlops.project.context import Project
    from mlops.project.data_log import Chosen

__all__ = [
    "AsOf",
    "Json",
    "Screen",
    "VersionName",
    "as_of_option",
    "key_values",
    "parse_length",
    "parse_time",
    "show_progress",
    "size",
    "version_fields",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]


def as_of_option(help: str) -> Any:
    """Return the option --as-of, with what the time means to the command."""
    return typer.Option("--as-of", metavar="TIME", help=help)


AsOf = Annotated[
    str | None,
    as_of_option("Event time to act as of, ISO 8601, UTC; default: just after the newest served row."),
]


VersionName = Annotated[
    str,
    typer.Argument(
        help="The start of a version's name, a git revision, or model:3 for what version 3 was trained on."
    ),
]


@dataclass(frozen=True)
class Screen:
    """Where a command's project is, and how its result is shown.

    Parameters
    ----------
    ignored
        The variables of the shell that are meant for other servers and programs.
    """

    folder: Path
    ignored: tuple[str, ...] = ()

    def project(self) -> Project:
        """Open the project; imports what that takes."""
        from mlops.project.context import Project

        return Project.at(self.folder)

    def warn_of_ignored(self) -> None:
        """Name the variables that are ignored, on stderr, in a command that starts a server or uses one."""
        if self.ignored:
            names = ", ".join(self.ignored)
            show_progress(f"ignored, since the project's own servers do not read it: {names}")

    def show(self, text: str, result: Mapping[str, Any], *, as_json: bool) -> None:
        """Print the text for a person, or the result as one JSON object."""
        sys.stdout.write((json.dumps(result, default=str) if as_json else text) + "\n")


def version_fields(chosen: Chosen) -> dict[str, object]:
    """Return a version of the data as a JSON result has it."""
    return {"md5": chosen.version.md5, "files": chosen.version.files, "commit": chosen.commit}


def show_progress(line: str) -> None:
    """Print a line of progress to stderr: stdout is for results."""
    sys.stderr.write(f"  {line}\n")


def parse_time(text: str | None) -> Any:
    """Read an ISO 8601 time, UTC where it names no zone.

    Raises
    ------
    UsageError
        It is none.
    """
    from mlops.moments import parse_moment

    return None if text is None else parse_moment(text)


def parse_length(text: str | None, option: str) -> Any:
    """Read a length of time such as ``7d``; None where there is no text.

    Raises
    ------
    UsageError
        It is none.
    """
    from mlops.config.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as exc:
        raise UsageError(f"{option} {text} is not {exc}.", remedy=f"Write it as {option} 7d.") from exc


def key_values(words: list[str], *, example: str) -> dict[str, str]:
    """Parse the words of --set.

    Parameters
    ----------
    example
        How one is written.

    Raises
    ------
    UsageError
        One is not KEY=VALUE, or repeats a key.
    """
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {word} is not KEY=VALUE.", remedy=f"Write it as {example}.")
        if key.strip() in values:
            raise UsageError(f"--set gives {key.strip()} twice.", remedy="Give it once.")
        values[key.strip()] = value.strip()
    return values


def size(number: int) -> str:
    """Write a number of bytes as people do."""
    if number == 0:
        return "-"
    amount, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
