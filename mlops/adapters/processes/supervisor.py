"""Long-running parts under supervisord: started, restarted, their logs rotated.

One supervisor is one set of parts that come and go together. The tools (Prefect, MLflow, the
runner) and the serving side (the gateway) have one each, so that stopping the tools leaves
serving alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from mlops.adapters.processes import watchdog
from mlops.errors import UnavailableError

if TYPE_CHECKING:
    import psutil

__all__ = ["Part", "Supervisor"]

# It runs in the project's folder, and this names files from there: a `%` of a path would be taken for
# a variable, and what follows ` #` or ` ;` for a comment.
_CONFIG = """\
[unix_http_server]
file = {socket}
chmod = 0700
[supervisord]
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
environment = {variable}="{environment}"
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


_LEASH = str(Path(watchdog.__file__))
# It needs nothing but the standard library: without site it is there in no time, and small.
_ON_LEASH = (sys.executable, "-I", "-S", _LEASH)
_PATIENCE = 50.0
"""Seconds until what does not end is killed: a supervisor gives each of its parts 15, one after another."""


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
        self._config = self._folder / f"{name}.conf"
        # A socket's path is limited to some 100 bytes, a project's is not. Not where TMPDIR says:
        # a shell that sets it otherwise would find nothing running.
        mark = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
        self._socket = Path("/tmp") / f"mlops-{os.getuid()}-{mark}-{name}.sock"

    def start(self, parts: Sequence[Part], *, patience: float = 15.0) -> None:
        """Have exactly these parts run; parts that run unchanged are left alone.

        Raises
        ------
        UnavailableError
            The supervisor itself did not come up in `patience` seconds.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._render(parts))
        if self.pid() is not None:
            self._reread()
            return
        # -P: no module of the folder this runs in gets in the way.
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(self._config)]
        done = subprocess.run(command, cwd=self._root, capture_output=True, text=True, check=False)
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
        """End every part, then the supervisor; say whether anything ran."""
        pid = self.pid()
        if pid is None:
            return self.clear()
        with suppress(UnavailableError):  # somebody else has told it
            self._call("shutdown")
        while _alive(pid):
            time.sleep(0.1)
        return True

    def clear(self) -> bool:
        """End what a supervisor that cannot be asked any more has left; say whether there was anything.

        It was killed or told to end, and its parts are on their way out, or its socket was removed.
        Nothing is done where one answers.
        """
        import psutil

        if self.pid() is not None:
            return False
        supervisors, leashes = self._left()
        for process in supervisors or leashes:  # the former end the latter
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs([*supervisors, *leashes], timeout=_PATIENCE)
        for process in stubborn:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each leads a group of its own
        psutil.wait_procs(stubborn, timeout=_PATIENCE)
        return bool(supervisors or leashes)

    def restart(self, name: str) -> None:
        """End one part and start it again.

        Raises
        ------
        UnavailableError
            The supervisor does not answer, has no such part, or cannot start it.
        """
        self._call("stopProcess", name, fine=Faults.NOT_RUNNING)
        self._call("startProcess", name)

    def states(self) -> dict[str, str]:
        """Return each part's state (``RUNNING``, ``BACKOFF``, …); empty where nothing runs."""
        return {info["name"]: info["statename"] for info in self._infos()}

    def pids(self) -> dict[str, int]:
        """Return the process id of each part that runs."""
        return {info["name"]: info["pid"] for info in self._infos() if info["pid"]}

    def pid(self) -> int | None:
        """Return the supervisor's process id, or None where none answers or it is on its way out."""
        try:
            return int(self._call("getPID"))
        except UnavailableError:
            return None

    def _left(self) -> tuple[list[psutil.Process], list[psutil.Process]]:
        """Return the supervisors and the leashes that were started with this configuration."""
        import psutil

        supervisors, leashes = [], []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()  # a zombie has none
                if str(self._config) in words and "supervisor.supervisord" in words:
                    supervisors.append(process)
                elif str(self._config) in words and _LEASH in words:
                    leashes.append(process)
        return supervisors, leashes

    def _render(self, parts: Sequence[Part]) -> str:
        logs, folder = (path.relative_to(self._root) for path in (self._logs, self._folder))
        head = _CONFIG.format(socket=self._socket, logs=logs, folder=folder, name=self._name)
        programs = [
            _PROGRAM.format(
                name=part.name,
                command=_line([*_ON_LEASH, str(self._config), *part.command]),
                variable=watchdog.ENVIRONMENT,
                environment=urlencode(part.environment).replace("%", "%%"),
                logs=logs,
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
                self._call("startProcess", name)

    def _infos(self) -> list[dict[str, Any]]:
        try:
            return list(self._call("getAllProcessInfo"))
        except UnavailableError:
            return []

    def _call(self, method: str, *part: str, fine: int | None = None) -> Any:
        """Ask the supervisor, of itself or of a part; an answer that is the fault `fine` is none."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        what, log = (part[0], part[0]) if part else (f"The supervisor of {self._name}", self._name)
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*part)
        except (Fault, OSError, HTTPException) as exc:
            if isinstance(exc, Fault) and exc.faultCode == fine:
                return None
            # One that stops its parts answers nothing else: for whoever asks it is away already.
            cause = exc.faultString if isinstance(exc, Fault) else exc
            remedy = f"See {self._logs / log}.log."
            raise UnavailableError(what, str(self._socket), remedy=remedy, cause=cause) from exc


def _line(command: Sequence[str]) -> str:
    """Write a command as supervisord reads one: nothing within it is a variable or begins a comment."""
    # Whitespace before a mark stands within quotes: they are closed and opened again between the two.
    return re.sub(r"(\s)([#;])", r"\1''\2", shlex.join(command)).replace("%", "%%")


def _alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
