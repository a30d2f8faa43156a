"""Ports of this machine: whether one is free, and who has it where it is not."""

from __future__ import annotations

import shlex
from collections.abc import Collection

import psutil

from mlops.errors import PortTakenError

__all__ = ["check_port"]

_LONGEST = 80  # characters of a command in a message


def check_port(port: int, *, part: str, setting: str, owned: Collection[int] = ()) -> None:
    """Make sure that a loopback port is free, or belongs to one of ours.

    Parameters
    ----------
    part, setting
        What wants to listen there, and the variable that chooses another port.
    owned
        Process ids that may have it, themselves or through a child.

    Raises
    ------
    PortTakenError
        Another process listens there; it is named.
    """
    try:
        listening = [
            found.pid
            for found in psutil.net_connections("tcp")
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
        ]
    except psutil.AccessDenied:
        return  # the listener's own error will have to do
    strangers = [pid for pid in listening if not _is_one_of(pid, owned)]
    if strangers:
        raise PortTakenError(port, part=part, owner=_owner(strangers[0]), setting=setting)


def _is_one_of(pid: int | None, owned: Collection[int]) -> bool:
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        return bool({pid, *(parent.pid for parent in process.parents())} & set(owned))
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
