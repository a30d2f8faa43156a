"""Run git in one folder, whatever repository the caller's environment names and however git is configured."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mlops.adapters.git.pinned import PINNED, git_environment
from mlops.adapters.processes.time_limit import within
from mlops.errors import MlopsError

__all__ = ["Git"]

_NOT_OURS = "detected dubious ownership"
"""What git says, and does nothing, where a folder is another user's."""


class Git:
    """Git at `root`: no hooks, no patterns in paths, no password prompts, its output as pinned."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def output(self, *arguments: str, index: Path | None = None) -> str:
        """Return git's standard output, stripped.

        Parameters
        ----------
        index
            Index file to use in place of the tree's own.

        Raises
        ------
        MlopsError
            Git exits with an error.
        """
        process = self.run(*arguments, index=index)
        if process.returncode:
            reason = process.stderr.strip() or process.stdout.strip()
            raise MlopsError(f"`git {' '.join(arguments)}` failed in {self.root}: {reason}")
        return process.stdout.strip()

    def query(self, *arguments: str) -> str | None:
        """Return git's standard output, stripped; None where it exits with an error."""
        process = self.run(*arguments)
        return None if process.returncode else process.stdout.strip()

    def run(
        self, *arguments: str, index: Path | None = None, limit: float | None = None, literal: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run git and return the finished process, whatever its exit code.

        Parameters
        ----------
        limit
            Timeout in seconds, for commands that use the network.
        literal
            Paths are no patterns. `git check-ignore` does not accept this option.

        Raises
        ------
        MlopsError
            Git is not installed, or the folder does not exist.
        subprocess.TimeoutExpired
            The timeout passed and git was ended.
        """
        command, environment = _command(arguments, literal), git_environment(os.environ, index)
        try:
            if limit is not None:
                return within(limit, command, folder=self.root, environment=environment)
            process = subprocess.run(
                command, cwd=self.root, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                check=False,
            )  # fmt: skip
        except FileNotFoundError as exc:
            raise self._not_found() from exc
        if process.returncode and _NOT_OURS in (reason := _text(process.stderr)):
            raise MlopsError(
                f"Git does not work in {self.root}: {reason.splitlines()[0].removeprefix('fatal: ')}.",
                remedy=f"Make the folder yours, or trust it: `git config --global --add safe.directory "
                f"{self.root}`.",
            )
        return subprocess.CompletedProcess(
            command, process.returncode, _text(process.stdout), _text(process.stderr)
        )

    def pipe(self, *arguments: str, input: bytes = b"") -> bytes:
        """Write `input` to git's standard input and return its standard output, byte for byte.

        Raises
        ------
        MlopsError
            Git exits with an error.
        """
        try:
            process = subprocess.run(
                _command(arguments), cwd=self.root, env=git_environment(os.environ), input=input,
                capture_output=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as exc:
            raise self._not_found() from exc
        if process.returncode:
            reason = process.stderr.decode(errors="replace").strip()
            raise MlopsError(f"`git {' '.join(arguments)}` failed in {self.root}: {reason}")
        return process.stdout

    def _not_found(self) -> MlopsError:
        missing = "git is not on PATH" if self.root.is_dir() else f"The folder {self.root} does not exist"
        return MlopsError(f"{missing}.", remedy="Install git, or pass the project's folder.")


def _command(arguments: Sequence[str], literal: bool = True) -> list[str]:
    paths = ["--literal-pathspecs"] if literal else []
    pinned = [word for setting in PINNED for word in ("-c", setting)]
    return ["git", *paths, *pinned, *arguments]


def _text(output: bytes) -> str:
    # A commit of another encoding, or a file's name that is none, costs a letter, not the command.
    return output.decode("utf-8", "replace")
