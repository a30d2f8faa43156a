"""Long-running parts under supervisord: started, restarted, their logs rotated.

One supervisor is one set of parts that come and go together. The tools (Prefect, MLflow, the
runner) and the serving side (the gateway) have one each, so that stopping the tools leaves
serving alone.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from mlops.errors import UnavailableError

__all__ = ["Part", "Supervisor"]

_CONFIG = """\
[unix_http_server]
file = {socket}
chmod = 0700
[supervisord]
directory = {directory}
logfile = {logs}/{name}.log
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = {folder}/{name}.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """\
[program:{name}]
command = {command}
environment = {environment}
autorestart = true
startsecs = 1
startretries = 10
stopasgroup = true
killasgroup = true
stopwaitsecs = 15
redirect_stderr = true
stdout_logfile = {logs}/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""


_LEASH = str(Path(__file__).with_name("leash.py"))


@dataclass(frozen=True)
class Part:
    """A process to keep alive.

    Parameters
    ----------
    name
        Its name in logs and messages.
    command
        The program and its arguments.
    environment
        Added to the environment the supervisor was started in.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """A set of parts kept alive by one supervisord.

    Parameters
    ----------
    home
        The project's .mlops folder: configuration in ``run/``, logs in ``logs/``.
    name
        The set's name, ``tools`` or ``serving``.
    """

    def __init__(self, home: Path, name: str) -> None:
        self._name = name
        self._root = home.parent
        self._folder = home / "run"
        self._logs = home / "logs"
        # A socket's path is limited to some 100 bytes, a project's is not.
        mark = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
        self._socket = Path(tempfile.gettempdir()) / f"mlops-{os.getuid()}-{mark}-{name}.sock"

    def start(self, parts: Sequence[Part], *, patience: float = 15.0) -> None:
        """Have exactly these parts run; parts that run unchanged are left alone.

        Raises
        ------
        UnavailableError
            The supervisor itself did not come up in `patience` seconds.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        config = self._folder / f"{self._name}.conf"
        config.write_text(self._render(parts))
        if self.pid() is not None:
            self._reread()
            return
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        deadline = time.monotonic() + patience
        while self.pid() is None:
            if done.returncode != 0 or time.monotonic() > deadline:
                raise UnavailableError(
                    f"The supervisor of {self._name}",
                    str(self._socket),
                    remedy=f"See {self._logs / self._name}.log.",
                    cause=done.stderr.strip(),
                )
            time.sleep(0.05)

    def stop(self) -> bool:
        """End every part, then the supervisor; say whether there was one."""
        pid = self.pid()
        if pid is None:
            return False
        self._call("shutdown")
        while _alive(pid):
            time.sleep(0.1)
        return True

    def restart(self, name: str) -> None:
        """End one part and start it again."""
        self._call("stopProcess", name)
        self._call("startProcess", name)

    def states(self) -> dict[str, str]:
        """Return each part's state (``RUNNING``, ``BACKOFF``, …); empty where nothing runs."""
        if self.pid() is None:
            return {}
        return {info["name"]: info["statename"] for info in self._call("getAllProcessInfo")}

    def pids(self) -> dict[str, int]:
        """Return the process id of each part that runs."""
        if self.pid() is None:
            return {}
        return {info["name"]: info["pid"] for info in self._call("getAllProcessInfo") if info["pid"]}

    def pid(self) -> int | None:
        """Return the supervisor's process id, or None where none answers."""
        try:
            return int(self._call("getPID"))
        except (OSError, HTTPException):
            return None

    def _render(self, parts: Sequence[Part]) -> str:
        head = _CONFIG.format(
            socket=self._socket, directory=self._root, logs=self._logs, folder=self._folder, name=self._name
        )
        programs = [
            _PROGRAM.format(
                name=part.name,
                command=shlex.join([sys.executable, _LEASH, *part.command]).replace("%", "%%"),
                environment=",".join(
                    f'{key}="{value}"'.replace("%", "%%") for key, value in part.environment.items()
                ),
                logs=self._logs,
            )
            for part in parts
        ]
        return "\n".join([head, *programs])

    def _reread(self) -> None:
        [[added, changed, removed]] = self._call("reloadConfig")
        for group in (*changed, *removed):
            self._call("stopProcessGroup", group)
            self._call("removeProcessGroup", group)
        for group in (*changed, *added):
            self._call("addProcessGroup", group)
        for name, state in self.states().items():
            if state in {"STOPPED", "EXITED", "FATAL"}:
                try:
                    self._call("startProcess", name)
                except Fault as exc:
                    raise UnavailableError(
                        name, str(self._socket), remedy=f"See {self._logs / name}.log.", cause=exc.faultString
                    ) from exc

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
