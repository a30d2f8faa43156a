"""Ports of this machine: whether one is free, and which process has it otherwise."""

from __future__ import annotations

import random
import shlex
import socket
from collections.abc import Collection
from contextlib import suppress

import psutil

from mlops.errors import MlopsError, PortTakenError

__all__ = ["check_port", "free_port"]

_PORTS = range(20_000, 32_768)
"""Below where a system's own choice begins: Linux's at 32768, that of others at 49152."""
_PORT_TRIES = 100
_LONGEST = 80  # characters of a command in a message


def check_port(port: int, *, part: str, setting: str, allowed_pids: Collection[int] = ()) -> None:
    """Make sure that a loopback port is free, or belongs to one of ours.

    Parameters
    ----------
    part, setting
        What wants to listen there, and the variable that chooses another port.
    allowed_pids
        Process ids that may have it, themselves or through a child.

    Raises
    ------
    PortTakenError
        Another process listens there; it is named.
    """
    try:
        listening = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        ]
    except psutil.AccessDenied:
        return  # the listener will raise its own error
    strangers = [pid for pid in listening if not _is_one_of(pid, allowed_pids)]
    if strangers:
        raise PortTakenError(port, part=part, owner=_owner(strangers[0]), setting=setting)


def _is_one_of(pid: int | None, allowed_pids: Collection[int]) -> bool:
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        return bool({pid, *(parent.pid for parent in process.parents())} & set(allowed_pids))
    except psutil.NoSuchProcess:
        return False


def _owner(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        command = shlex.join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"pid {pid}"
    return f"{command if len(command) <= _LONGEST else command[:_LONGEST] + '…'} (pid {pid})"


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on.

    None of those that the system gives out, to whoever asks for any and to each connection: it would
    be somebody's before a service that takes a second to start has bound it.
    """
    # Not by the shared generator: who has seeded that wants their own numbers from it.
    for port in random.SystemRandom().sample(_PORTS, _PORT_TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise MlopsError(
        f"None of {_PORT_TRIES} ports between {_PORTS.start} and {_PORTS.stop} is free.",
        remedy="List the listeners: `ss -ltnp`.",
    )
