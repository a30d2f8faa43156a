"""Run a command with a timeout that ends its children too."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["within"]


def within(
    limit: float, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command, and kill it and its children at the timeout.

    It has no terminal: a command that would prompt for a password fails instead.

    Parameters
    ----------
    limit
        Seconds.

    Raises
    ------
    subprocess.TimeoutExpired
        The timeout passed and the command was killed.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=limit)
        except BaseException:
            # A surviving child would keep the pipes open, and communicate() waiting.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)
