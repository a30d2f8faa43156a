"""Run a part that ends when its supervisor does: ``python leash.py CONFIG COMMAND ...``.

A supervisor that is killed (-9) cannot stop its parts, and a part that lives on holds its port
and works beside its successor. On Linux the kernel tells us, and we end the part and whatever it
started: politely, and after some seconds not. So we do where the part alone is killed: what it started
falls to us then, and would hold its port against the next one. What went into a session of its own,
as a model service does, was sent away on purpose and stays. Elsewhere than on Linux the part just
runs, and what it leaves is told once to end.

CONFIG, the supervisor's file, is here for whoever looks for the processes of one project. What the part
gets beside the supervisor's own environment comes in one variable, as a form would send it: supervisord's
file cannot hold every value.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from urllib.parse import parse_qsl

__all__ = ["ENVIRONMENT"]

ENVIRONMENT = "MLOPS_PART"
PATIENCE = 14
"""Seconds; a supervisor that lives gives a part 15 before it kills the whole group itself."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Start the part, end as it ends."""
    supervisor = os.getppid()
    follow = _follower()

    def end(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.getppid() != supervisor:  # else it has told the whole group by itself
            os.killpg(0, signal.SIGTERM)
        signal.alarm(PATIENCE)

    def begin() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        follow()

    # Told to end in this very moment, the part must hear of it too: the signal waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
    follow()
    if os.getppid() != supervisor or signal.SIGTERM in signal.sigpending():
        return 1
    own = dict(parse_qsl(os.environ.pop(ENVIRONMENT, ""), keep_blank_values=True))
    part = subprocess.Popen(sys.argv[2:], env=os.environ | own, preexec_fn=begin)
    if signal.SIGTERM in signal.sigpending():  # it may have come before there was a part to hear of it
        part.terminate()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    code = _ended(part.pid)
    _end_rest()
    return code if code >= 0 else 128 - code


def _ended(part: int) -> int:
    """Wait for the part's end, and for that of whatever fell to us meanwhile."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == part:
            return os.waitstatus_to_exitcode(status)


def _end_rest() -> None:
    """End what is left of our process group, and wait for it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(signal.alarm(0) or PATIENCE)  # told to end ourselves, we have that much less time
    os.killpg(0, signal.SIGTERM)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(0, 0)


def _follower() -> Callable[[], object]:
    """Have orphans fall to us; return what asks the kernel to send the caller SIGTERM as its parent ends."""
    if sys.platform != "linux":
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
