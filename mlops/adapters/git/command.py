"""Run git in one folder, whatever repository the caller's environment names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlops.adapters.processes.time_limit import within
from mlops.errors import MlopsError

__all__ = ["Git"]

# Git sets these for a hook; they would point a git that we start at the hook's repository.
_REPOSITORY_VARIABLES = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}


class Git:
    """Git at `root`: no hooks, no patterns in paths, no password prompts."""

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
        try:
            if limit is not None:
                return within(
                    limit, _command(arguments, literal), folder=self.root, environment=_environment(index)
                )
            return subprocess.run(
                _command(arguments, literal), cwd=self.root, env=_environment(index),
                stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8",
                errors="replace",
            )  # fmt: skip
        except FileNotFoundError as exc:
            raise self._not_found() from exc

    def pipe(self, *arguments: str, input: bytes) -> bytes:
        """Write `input` to git's standard input and return its standard output, byte for byte.

        Raises
        ------
        MlopsError
            Git exits with an error.
        """
        try:
            process = subprocess.run(
                _command(arguments), cwd=self.root, env=_environment(), input=input, capture_output=True,
                check=False,
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


def _command(arguments: tuple[str, ...], literal: bool = True) -> list[str]:
    paths = ["--literal-pathspecs"] if literal else []
    return ["git", *paths, "-c", f"core.hooksPath={os.devnull}", *arguments]


def _environment(index: Path | None = None) -> dict[str, str]:
    variables = {key: value for key, value in os.environ.items() if key not in _REPOSITORY_VARIABLES}
    variables |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return variables if index is None else {**variables, "GIT_INDEX_FILE": str(index)}
