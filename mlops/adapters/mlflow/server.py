"""The local MLflow server: one process, a SQLite store, a folder of artifacts. Imports no mlflow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from mlops import telemetry
from mlops.errors import MlopsError

__all__ = ["init_store", "part_command", "server_command", "server_environment"]


def part_command(home: Path, port: int) -> list[str]:
    """Return the command that initialises the store and then replaces itself with the server."""
    return [sys.executable, "-m", "mlops.adapters.mlflow.server", str(home), str(port)]


def server_command(home: Path, port: int) -> list[str]:
    """Return the command that serves MLflow on 127.0.0.1 from `home`/mlflow.

    Run it with `server_environment`, and `init_store` before the first time.
    """
    # MLflow's host check compares the port too.
    hosts = f"127.0.0.1:{port},localhost:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", hosts]
    command += ["--backend-store-uri", _store(home)]
    return [*command, "--artifacts-destination", str((_folder(home) / "artifacts").absolute())]


def server_environment() -> dict[str, str]:
    """Return the server's environment variables; its defaults are 15 processes and 3.4 GB."""
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **telemetry.SWITCHES}


def init_store(home: Path) -> None:
    """Create or upgrade the store's tables, under a lock: two migrations at once lock each other out.

    Runs once per version of mlflow; costs nothing afterwards.

    Raises
    ------
    MlopsError
        The migration failed.
    """
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"store-{version('mlflow')}"
    with FileLock(folder / "store.lock"):
        if done.exists():
            return
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", _store(home)]
        upgrade = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if upgrade.returncode:
            errors = [line for line in upgrade.stderr.splitlines() if "Error" in line]
            reason = errors[-1] if errors else "no output"
            raise MlopsError(
                f"Could not initialise MLflow's store {_store(home)}: {reason}.",
                remedy="Check that the folder is writable and that no newer mlflow has upgraded the store.",
            )
        done.touch()


def _folder(home: Path) -> Path:
    return home / "mlflow"


def _store(home: Path) -> str:
    return f"sqlite:///{_folder(home).absolute() / 'mlflow.db'}"


if __name__ == "__main__":
    home_folder, server_port = Path(sys.argv[1]), int(sys.argv[2])
    init_store(home_folder)
    server = server_command(home_folder, server_port)
    os.execv(server[0], server)
