"""Git's command, run in one folder: whatever repository the caller's environment names is not meant."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlops.adapters.processes.time_limit import within
from mlops.errors import MlopsError

__all__ = ["Git"]

# A hook is called with these set.
_FOREIGN = {
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
    """Git at `root`; no hook runs, no path is a pattern, and nobody is asked for a password."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def say(self, *words: str, index: Path | None = None) -> str:
        """Return what git says, without the space around it.

        Parameters
        ----------
        index
            One to use in place of the tree's own.

        Raises
        ------
        MlopsError
            It fails.
        """
        done = self.run(*words, index=index)
        if done.returncode:
            why = done.stderr.strip() or done.stdout.strip()
            raise MlopsError(f"`git {' '.join(words)}` failed in {self.root}: {why}")
        return done.stdout.strip()

    def ask(self, *words: str) -> str | None:
        """Return git's answer, or None where it says no."""
        done = self.run(*words)
        return None if done.returncode else done.stdout.strip()

    def run(
        self, *words: str, index: Path | None = None, limit: float | None = None, literal: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run git to its end, whatever that is.

        Parameters
        ----------
        limit
            Seconds, where it may wait for a network.
        literal
            Paths are no patterns; `git check-ignore` cannot be told so.

        Raises
        ------
        MlopsError
            There is no git, or no such folder.
        subprocess.TimeoutExpired
            It was ended at the limit.
        """
        try:
            if limit is not None:
                return within(
                    limit, _command(words, literal), folder=self.root, environment=_environment(index)
                )
            return subprocess.run(
                _command(words, literal), cwd=self.root, env=_environment(index), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as exc:
            raise self._absent() from exc

    def feed(self, *words: str, input: bytes) -> bytes:
        """Return what git answers to `input`, byte for byte.

        Raises
        ------
        MlopsError
            It fails.
        """
        try:
            done = subprocess.run(
                _command(words), cwd=self.root, env=_environment(), input=input, capture_output=True,
                check=False,
            )  # fmt: skip
        except FileNotFoundError as exc:
            raise self._absent() from exc
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip()
            raise MlopsError(f"`git {' '.join(words)}` failed in {self.root}: {why}")
        return done.stdout

    def _absent(self) -> MlopsError:
        missing = "git is not on PATH" if self.root.is_dir() else f"{self.root} is no folder"
        return MlopsError(f"{missing}.", remedy="Install git, or give the project's folder.")


def _command(words: tuple[str, ...], literal: bool = True) -> list[str]:
    paths = ["--literal-pathspecs"] if literal else []
    return ["git", *paths, "-c", f"core.hooksPath={os.devnull}", *words]


def _environment(index: Path | None = None) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    own |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return own if index is None else {**own, "GIT_INDEX_FILE": str(index)}
