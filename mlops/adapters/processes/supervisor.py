"""Long-running parts under supervisord: start, restart, log rotation.

One supervisor runs one set of parts that start and stop together. The tools (Prefect, MLflow, the
runner) and serving (the gateway) have one each, so that stopping the tools does not stop serving.
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
from mlops.config.clean_environment import cleaned
from mlops.errors import UnavailableError
from mlops.files import private
from mlops.files.shortage import (
    LEAST_OPEN_FILES,
    open_files_limit,
    processes_limit,
    too_few_files,
)

if TYPE_CHECKING:
    import psutil

__all__ = ["Part", "Supervisor"]

# Paths are relative to the project's folder, where supervisord runs: in an absolute path a `%` would
# begin a variable, and ` #` or ` ;` a comment.
_CONFIG = """\
[unix_http_server]
file = {socket}
chmod = 0700
[supervisord]
umask = 077
minfds = {files}
minprocs = {processes}
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
umask = {umask}
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


_WATCHDOG = str(Path(watchdog.__file__))
# It needs only the standard library: without site it starts faster and takes less memory.
_WATCHDOG_COMMAND = (sys.executable, "-I", "-S", _WATCHDOG)
_FILES, _PROCESSES = 1024, 200
"""What a supervisor asks the machine for, as by default; where that allows less, it starts with less."""
_GRACE_PERIOD = 50.0
"""Seconds until processes are killed: a supervisor gives each of its parts 15, one after another."""


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
        Added to the environment the supervisor was started in, without what is meant for other programs.
    umask
        Of the files that it writes; by default they are for their owner alone.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = private.OTHERS


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
        # A socket's path is limited to some 100 bytes, a project's is not. TMPDIR is not used: a shell
        # with another value would not find the running supervisor.
        path_hash = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
        self._socket = Path("/tmp") / f"mlops-{os.getuid()}-{path_hash}-{name}.sock"

    def start(self, parts: Sequence[Part], *, patience: float = 15.0) -> None:
        """Run exactly these parts; running parts that did not change are not restarted.

        Raises
        ------
        UnavailableError
            The supervisor itself did not start within `patience` seconds.
        """
        for folder in (self._folder.parent, self._folder, self._logs):
            private.create_folder(folder)
        private.create_file(self._config)  # it has the parts' environment
        self._config.write_text(self._render(parts), "utf-8")
        if self.pid() is not None:
            self._reread()
            return
        # -P: a module in the working folder cannot shadow supervisor's.
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(self._config)]
        if open_files_limit() < LEAST_OPEN_FILES:
            raise too_few_files(open_files_limit())
        process = subprocess.run(
            command,
            cwd=self._root,
            env=cleaned(os.environ),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        deadline = time.monotonic() + patience
        while self.pid() is None:
            if process.returncode != 0 or time.monotonic() > deadline:
                error = process.stderr.strip().partition("\nFor help, use ")[0]
                log = self._logs / f"{self._name}.log"
                raise UnavailableError(
                    f"The supervisor of {self._name}",
                    str(self._socket),
                    remedy=f"See {log}."
                    if log.is_file()
                    else "Run `mlops doctor`, which checks this machine.",
                    cause=error.removeprefix("Error: ").rstrip("."),
                )
            time.sleep(0.05)

    def stop(self) -> bool:
        """Stop every part, then the supervisor; return whether anything ran."""
        pid = self.pid()
        if pid is None:
            return self.clear()
        with suppress(UnavailableError):  # it is shutting down already
            self._call("shutdown")
        while _alive(pid):
            time.sleep(0.1)
        return True

    def clear(self) -> bool:
        """End the processes of a supervisor that no longer answers; return whether there were any.

        It was killed or is shutting down, or its socket was removed. Does nothing where it answers.
        """
        import psutil

        if self.pid() is not None:
            return False
        supervisors, watchdogs = self._leftovers()
        for process in supervisors or watchdogs:  # a supervisor ends its watchdogs
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs([*supervisors, *watchdogs], timeout=_GRACE_PERIOD)
        for process in alive:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each leads its own process group
        psutil.wait_procs(alive, timeout=_GRACE_PERIOD)
        return bool(supervisors or watchdogs)

    def restart(self, name: str) -> None:
        """Stop one part and start it again.

        Raises
        ------
        UnavailableError
            The supervisor does not respond, has no such part, or cannot start it.
        """
        self._call("stopProcess", name, ignore=Faults.NOT_RUNNING)
        self._call("startProcess", name)

    def states(self) -> dict[str, str]:
        """Return each part's state (``RUNNING``, ``BACKOFF``, …); empty where nothing runs."""
        return {info["name"]: info["statename"] for info in self._infos()}

    def pids(self) -> dict[str, int]:
        """Return the process id of each running part."""
        return {info["name"]: info["pid"] for info in self._infos() if info["pid"]}

    def pid(self) -> int | None:
        """Return the supervisor's process id, None where it does not respond or is shutting down."""
        try:
            return int(self._call("getPID"))
        except UnavailableError:
            return None

    def _leftovers(self) -> tuple[list[psutil.Process], list[psutil.Process]]:
        """Return the supervisor and watchdog processes that were started with this configuration."""
        import psutil

        supervisors, watchdogs = [], []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                arguments = process.cmdline()  # a zombie has none
                if str(self._config) in arguments and "supervisor.supervisord" in arguments:
                    supervisors.append(process)
                elif str(self._config) in arguments and _WATCHDOG in arguments:
                    watchdogs.append(process)
        return supervisors, watchdogs

    def _render(self, parts: Sequence[Part]) -> str:
        logs, folder = (path.relative_to(self._root) for path in (self._logs, self._folder))
        head = _CONFIG.format(
            socket=self._socket,
            logs=logs,
            folder=folder,
            name=self._name,
            files=min(_FILES, open_files_limit()),
            processes=min(_PROCESSES, processes_limit()),
        )
        programs = [
            _PROGRAM.format(
                name=part.name,
                umask=f"{part.umask:03o}",
                command=_quote([*_WATCHDOG_COMMAND, str(self._config), *part.command]),
                variable=watchdog.ENVIRONMENT_VARIABLE,
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

    def _call(self, method: str, *part: str, ignore: int | None = None) -> Any:
        """Call supervisord's XML-RPC API, for itself or a part; the fault `ignore` is no error."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        what, log = (part[0], part[0]) if part else (f"The supervisor of {self._name}", self._name)
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*part)
        except (Fault, OSError, HTTPException) as exc:
            if isinstance(exc, Fault) and exc.faultCode == ignore:
                return None
            # A supervisor that is shutting down rejects other calls: it counts as unavailable.
            cause = exc.faultString if isinstance(exc, Fault) else exc
            remedy = f"See {self._logs / log}.log."
            raise UnavailableError(what, str(self._socket), remedy=remedy, cause=cause) from exc


def _quote(command: Sequence[str]) -> str:
    """Quote a command for supervisord's configuration: no variables and no comments in it."""
    # Whitespace before # or ; is within quotes: close and reopen them between the two.
    return re.sub(r"(\s)([#;])", r"\1''\2", shlex.join(command)).replace("%", "%%")


def _alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
