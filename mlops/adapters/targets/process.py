"""A model in a process of this machine, where no container engine responds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

import mlops
from mlops.adapters.processes import process_id
from mlops.config.clean_environment import cleaned
from mlops.deployment.exposure import VARIABLE as TOKEN_VARIABLE
from mlops.deployment.rollout import Serving, Spec, TargetContext
from mlops.errors import MlopsError
from mlops.files import atomic, formats
from mlops.files.ports import free_port

__all__ = ["ProcessTarget", "open_target"]

_FORMAT = 1
"""Of the record of a service."""
_LAST_BYTES = 8192
_MOST_LOG = 10 * 1024 * 1024
_LEFT_OF_LOG = 1024 * 1024
_KILL_SECONDS = 10
_MARK = "MLOPS_SERVICES"
"""In a service's environment: the folder that has its record."""


def open_target(context: TargetContext) -> ProcessTarget:
    """Return the project's target."""
    return ProcessTarget(context.home)


class ProcessTarget:
    """Runs services as processes that outlive the one that starts them.

    Limits on memory and processor are not enforced here; a container's are.

    Parameters
    ----------
    home
        Where it keeps what it started (``services/``) and what that wrote (``logs/services/``).
    """

    name = "process"
    build_inputs: Mapping[str, Any] = MappingProxyType({})
    """Nothing: a service runs with this Python."""

    def __init__(self, home: Path) -> None:
        self._services = home / "services"
        self._logs = home / "logs" / "services"

    def start(self, spec: Spec) -> Serving:
        """Start a service with this Python."""
        same = next((serving for serving in self.running() if serving.id == spec.id), None)
        if same is not None and same.digest == spec.digest:
            return same
        if same is not None:
            self.stop(same, drain=0)
        for folder in (self._services, self._logs, spec.log):
            folder.mkdir(parents=True, exist_ok=True)
        self._end_unrecorded()
        port = free_port()
        environment = _environment(spec, port) | {_MARK: str(self._services.resolve())}
        started = _spawn(environment, self._log(spec.id))
        serving = Serving(
            id=spec.id,
            version=spec.version,
            digest=spec.digest,
            target=self.name,
            address=f"http://127.0.0.1:{port}",
            ref=process_id.name(psutil.Process(started)),
        )
        self._write(serving)
        return serving

    def running(self, *, unhealthy: bool = False) -> list[Serving]:  # noqa: ARG002  # one lives or does not
        """Return the services whose process runs, oldest first; remove the records of the others."""
        servings = []
        for file in sorted(self._services.glob("*.json"), key=_written):
            with suppress(FileNotFoundError):
                serving = Serving(**formats.from_json(file.read_text("utf-8"), _FORMAT, where=str(file)))
                if process_id.find(serving.ref) is None:
                    file.unlink()
                else:
                    servings.append(serving)
        return servings

    def stop(self, serving: Serving, *, drain: float) -> None:
        """Ask a service to end, and kill it after `drain` seconds."""
        process = process_id.find(serving.ref)
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
                if not _ends(process, drain):
                    process.kill()
                    _ends(process, _KILL_SECONDS)
        self._file(serving.id).unlink(missing_ok=True)

    def logs(self, serving: Serving) -> str:
        """Return the last lines a service wrote."""
        try:
            with self._log(serving.id).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def prune(self, *, keep: int, dry: bool = False) -> list[str]:
        """Remove the logs of services that ended, but for the newest `keep`."""
        running = {serving.id for serving in self.running()}
        ended = [log for log in self._logs.glob("*.log") if log.stem not in running]
        gone = sorted(ended, key=lambda log: log.stat().st_mtime, reverse=True)[keep:]
        for log in gone if not dry else ():
            log.unlink(missing_ok=True)
        return [f"log of service {log.stem}" for log in gone]

    def cut_logs(self) -> int:
        """Truncate each log that grew too long to its last megabyte; return how many were truncated.

        A service that runs for months writes on: it appends, wherever the end is.
        """
        long = [log for log in self._logs.glob("*.log") if log.stat().st_size > _MOST_LOG]
        for log in long:
            with log.open("r+b") as file:
                file.seek(-_LEFT_OF_LOG, os.SEEK_END)
                last = file.read()
                file.truncate(0)
            with log.open("ab") as file:
                file.write(last[last.find(b"\n") + 1 :])
        return len(long)

    def _end_unrecorded(self) -> None:
        """Kill services whose starter was killed before their record was written.

        A service leads its session. Its children have its environment too; it ends them itself.
        """
        known = {serving.ref for serving in self.running()}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                ours = process.environ().get(_MARK) == str(self._services.resolve())
                leads = os.getsid(process.pid) == process.pid
                if ours and leads and process_id.name(process) not in known:
                    process.kill()
                    _ends(process, _KILL_SECONDS)

    def _file(self, id: str) -> Path:
        return self._services / f"{id}.json"

    def _log(self, id: str) -> Path:
        return self._logs / f"{id}.log"

    def _write(self, serving: Serving) -> None:
        atomic.write_text(self._file(serving.id), formats.to_json(asdict(serving), _FORMAT))


def _environment(spec: Spec, port: int) -> dict[str, str]:
    above = str(Path(mlops.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **{name: value for name, value in cleaned(os.environ).items() if name != TOKEN_VARIABLE},
        **spec.environment,
        "PYTHONPATH": os.pathsep.join([above, inherited] if inherited else [above]),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "MLOPS_BUNDLE": str(spec.bundle.resolve()),
        "MLOPS_LOG": str(spec.log.resolve()),
        "MLOPS_HOST": "127.0.0.1",
        "MLOPS_PORT": str(port),
    }


def _spawn(environment: dict[str, str], log: Path) -> int:
    """Start the service in a session of its own; returns its pid.

    Not `subprocess.Popen`: that object warns of a child it no longer follows, and here it never does.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.posix_spawn(
            sys.executable,
            # -P: no module of the folder this runs in gets in the way.
            [sys.executable, "-P", "-m", "mlops.serving"],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_CLOSE, file) for file in _inherited()),
            ],
            setsid=True,
        )
    except OSError as exc:
        raise MlopsError(f"The service cannot be started: {exc}.") from exc


def _inherited() -> list[int]:
    """Return the open files inherited from our parent, as a lock of cron: a service would keep them."""
    inherited = []
    for file in (int(path.name) for path in Path("/dev/fd").iterdir()):
        with suppress(OSError):  # the listing's own is closed by now
            if file > 2 and os.get_inheritable(file):
                inherited.append(file)
    return inherited


def _ends(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process to end. One whose parent does not reap it stays a zombie: that is the end too."""
    deadline = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    with suppress(psutil.TimeoutExpired):
        process.wait(0)  # reaps it where it is a child of ours
    return True


def _written(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
