"""A remote of DVC's: objects sent to it and brought from it, with their progress, in bounded time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.config.clean_environment import cleaned
from mlops.errors import DataError, MlopsError, UnavailableError, shown

__all__ = ["Remote", "Transfer"]


@dataclass
class Transfer:
    """What was asked of a remote and what came of it; it grows while the objects move.

    Parameters
    ----------
    wanted
        Objects that the other side lacked.
    there
        Those that it had already.
    moved, bytes
        What arrived, whole, by its hash.
    failed
        Why an object did not, by its md5.
    """

    wanted: int = 0
    there: int = 0
    moved: int = 0
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: Transfer) -> Transfer:
        """Return what came of both."""
        return Transfer(
            self.wanted + other.wanted,
            self.there + other.there,
            self.moved + other.moved,
            self.bytes + other.bytes,
            self.failed | other.failed,
        )

    def check(self, names: Mapping[str, str], what: str) -> None:
        """Make sure that everything arrived.

        Parameters
        ----------
        names
            The name of an object in messages, by its md5.
        what
            What failed, as the message's predicate.

        Raises
        ------
        DataError
            Some did not; they are named, and what went through stays.
        """
        if not self.failed:
            return
        failed = [f"{names.get(md5, md5)} ({why})" for md5, why in self.failed.items()]
        altered = "altered" in self.failed.values()
        remedy = (
            "Restore the altered objects where they are, and run the same command again." if altered else ""
        )
        raise DataError(
            f"{len(self.failed)} of {self.wanted} objects {what}: {shown(failed)}.",
            remedy=remedy or "Fix the cause, and run the same command again to resume.",
        )


OnProgress = Callable[[Transfer], None]
"""Called as objects arrive."""


@dataclass(frozen=True)
class Remote:
    """A remote that the tree at `root` knows by this name.

    Parameters
    ----------
    silence
        Seconds without progress until the remote counts as one that does not respond.
    """

    root: Path
    name: str
    silence: float = 60.0

    def push(self, md5s: Iterable[str], on_progress: OnProgress = lambda _: None) -> Transfer:
        """Send objects of the cache that the remote lacks, each hashed first.

        Raises
        ------
        UnavailableError
            The remote does not respond; what arrived stays there, and the next push resumes.
        MlopsError
            It refuses, or there is no such remote.
        """
        return self._move("push", md5s, on_progress)

    def pull(self, md5s: Iterable[str], on_progress: OnProgress = lambda _: None) -> Transfer:
        """Bring objects that the cache lacks; one that is altered over there is not kept.

        Raises
        ------
        UnavailableError
            The remote does not respond; what arrived stays in the cache, and the next pull resumes.
        MlopsError
            It refuses, or there is no such remote.
        """
        return self._move("pull", md5s, on_progress)

    def ask(self) -> str:
        """Return the remote's address after a listing of it.

        Raises
        ------
        UnavailableError
            It does not respond.
        MlopsError
            It refuses.
        """
        return self._run("ask", (), lambda _: None)

    def _move(self, verb: str, md5s: Iterable[str], on_progress: OnProgress) -> Transfer:
        transfer = Transfer()

        def grow(line: Mapping[str, Any]) -> None:
            transfer.wanted += line.get("wanted", 0)
            transfer.there += line.get("there", 0)
            transfer.moved += line.get("moved", 0)
            transfer.bytes += line.get("bytes", 0)
            transfer.failed.update(line.get("failed", {}))
            if "moved" in line or "wanted" in line:
                on_progress(transfer)

        self._run(verb, sorted(set(md5s)), grow)
        return transfer

    def _run(self, verb: str, md5s: Iterable[str], on_line: Callable[[Mapping[str, Any]], None]) -> str:
        """Run the transfer in its own process, killed where the remote makes no progress for too long."""
        command = [sys.executable, "-m", "mlops.adapters.dvc.transfer", str(self.root), verb, self.name]
        address, error = self.name, ""
        with _started(command, "\n".join(md5s)) as lines:
            while True:
                try:
                    line = lines.get(timeout=self.silence)
                except queue.Empty:
                    raise UnavailableError(
                        f"The DVC remote {self.name!r}",
                        address,
                        remedy="Check the network and `dvc remote list`; run the command again to resume.",
                        cause=f"no progress for {self.silence:.0f} s",
                    ) from None
                if line is None:
                    break
                address, error = line.get("at", address), line.get("error", error)
                on_line(line)
        if error:
            raise MlopsError(
                f"The DVC remote {self.name!r} at {address} failed: {error}.",
                remedy="Check `dvc remote list`, its credentials, and that it exists.",
            )
        return address


@contextmanager
def _started(command: list[str], text: str) -> Iterator[queue.SimpleQueue[dict[str, Any] | None]]:
    """Start a command that reads `text` and writes JSON lines; None follows its last one."""
    process = subprocess.Popen(
        command, env=cleaned(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_follow, args=(process, lines), daemon=True)
    reader.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(text)
            process.stdin.close()
        yield lines
    finally:
        # A child of it that lives on would hold the pipe open, and us with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        reader.join()


def _follow(process: subprocess.Popen[str], lines: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    assert process.stdout is not None
    explained, last = False, ""
    with process.stdout:
        for line in process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # a client library prints, or Python does as it ends
                last = line.strip() or last
                continue
            explained = explained or "error" in message
            lines.put(message)
    if process.wait() != 0 and not explained:
        lines.put({"error": last or f"exit code {process.returncode}"})
    lines.put(None)
