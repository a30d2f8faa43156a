"""Run a part that ends when its supervisor does: ``python watchdog.py CONFIG COMMAND ...``.

A killed supervisor (-9) cannot stop its parts, and a part that lives on keeps its port and works
beside its successor. On Linux the kernel notifies the watchdog, which ends the part and its
children: with SIGTERM, and after some seconds with SIGKILL. It does the same where only the part was
killed, whose children it inherits. A child that started its own session, as a model service does, is
left running on purpose. On other systems the part just runs, and its children get one SIGTERM.

CONFIG, the supervisor's file, identifies the processes of one project. The part's environment
variables come URL-encoded in one variable, since supervisord's file cannot hold every value.
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

__all__ = ["ENVIRONMENT_VARIABLE"]

ENVIRONMENT_VARIABLE = "MLOPS_PART_ENVIRONMENT"
GRACE_PERIOD = 14
"""Seconds; the supervisor gives a part 15 before it kills the whole group."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Start the part, and exit with its exit code."""
    supervisor = os.getppid()
    request_death_signal = _become_subreaper()

    def end(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.getppid() != supervisor:  # else it has signalled the whole group itself
            os.killpg(0, signal.SIGTERM)
        signal.alarm(GRACE_PERIOD)

    def before_exec() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        request_death_signal()

    # A SIGTERM during the start has to reach the part too: it stays pending until the part runs.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
    request_death_signal()
    if os.getppid() != supervisor or signal.SIGTERM in signal.sigpending():
        return 1
    environment = dict(parse_qsl(os.environ.pop(ENVIRONMENT_VARIABLE, ""), keep_blank_values=True))
    part = subprocess.Popen(sys.argv[2:], env=os.environ | environment, preexec_fn=before_exec)
    if signal.SIGTERM in signal.sigpending():  # it may have come before the part existed
        part.terminate()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    code = _wait(part.pid)
    _end_children()
    return code if code >= 0 else 128 - code


def _wait(part: int) -> int:
    """Wait for the part, and reap the orphans inherited meanwhile; return the part's exit code."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == part:
            return os.waitstatus_to_exitcode(status)


def _end_children() -> None:
    """End the remaining processes of our process group, and wait for them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(signal.alarm(0) or GRACE_PERIOD)  # a running countdown goes on
    os.killpg(0, signal.SIGTERM)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(0, 0)


def _become_subreaper() -> Callable[[], object]:
    """Inherit orphans; return what requests SIGTERM for the calling process at its parent's death."""
    if sys.platform != "linux":
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
