"""A model in a process of this machine, where no container engine answers."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

import mlops
from mlops.deployment import Serving, Spec, free_port
from mlops.errors import MlopsError

__all__ = ["ProcessTarget"]

_LAST_BYTES = 8192
_KILL_SECONDS = 10
_CLOCK_SECONDS = 2.0
"""By how much a process's start may be told differently: it is reckoned from a clock that is set."""


class ProcessTarget:
    """Runs services as processes that outlive the one that starts them.

    The limits on memory and processor are a container's to keep: here they are not.

    Parameters
    ----------
    home
        Where it keeps what it started (``services/``) and what that wrote (``logs/services/``).
    """

    name = "process"

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
        port = free_port()
        pid = _spawn(_environment(spec, port), self._log(spec.id))
        serving = Serving(
            id=spec.id,
            version=spec.version,
            digest=spec.digest,
            target=self.name,
            address=f"http://127.0.0.1:{port}",
            ref=_ref(psutil.Process(pid)),
        )
        self._write(serving)
        return serving

    def running(self) -> list[Serving]:
        """Return the services whose process lives, oldest first; forgets the others."""
        found = []
        for file in sorted(self._services.glob("*.json"), key=_written):
            with suppress(FileNotFoundError):
                serving = Serving(**json.loads(file.read_text()))
                if _process(serving) is None:
                    file.unlink()
                else:
                    found.append(serving)
        return found

    def stop(self, serving: Serving, *, drain: float) -> None:
        """Ask a service to end, and kill it after `drain` seconds."""
        process = _process(serving)
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

    def prune(self, *, keep: int) -> list[str]:
        """Remove the logs of services that ended, but for the newest `keep`."""
        living = {serving.id for serving in self.running()}
        ended = [log for log in self._logs.glob("*.log") if log.stem not in living]
        gone = sorted(ended, key=lambda log: log.stat().st_mtime, reverse=True)[keep:]
        for log in gone:
            log.unlink(missing_ok=True)
        return [log.stem for log in gone]

    def _file(self, id: str) -> Path:
        return self._services / f"{id}.json"

    def _log(self, id: str) -> Path:
        return self._logs / f"{id}.log"

    def _write(self, serving: Serving) -> None:
        file = self._file(serving.id)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(serving)))
        fresh.replace(file)


def _environment(spec: Spec, port: int) -> dict[str, str]:
    above = str(Path(mlops.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
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
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    except OSError as exc:
        raise MlopsError(f"The service cannot be started: {exc}.") from exc


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


def _ref(process: psutil.Process) -> str:
    """Name a process by pid and start, for a pid alone is given out again."""
    return f"{process.pid}@{process.create_time():.2f}"


def _process(serving: Serving) -> psutil.Process | None:
    """Return a service's process where it lives still."""
    try:
        process = psutil.Process(int(serving.ref.partition("@")[0]))
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(0)
        elif abs(process.create_time() - float(serving.ref.partition("@")[2])) < _CLOCK_SECONDS:
            return process
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return None
