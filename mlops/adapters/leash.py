"""Run a command that ends when its supervisor does: ``python leash.py COMMAND ...``.

A supervisor that is killed (-9) cannot stop its parts, and a part that lives on holds its
port and works beside its successor. Linux can tell the kernel to end it; elsewhere the
command runs as it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        supervisor = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            sys.exit(1)  # it died before the kernel was told
    os.execvp(sys.argv[1], sys.argv[1:])
