"""The local MLflow server: one process on SQLite and a folder. Imports no mlflow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from mlops.errors import MlopsError

__all__ = ["init_store", "part_command", "server_command", "server_environment"]


def part_command(home: Path, port: int) -> list[str]:
    """Return the command that prepares the store and then becomes the server."""
    return [sys.executable, "-m", "mlops.adapters.mlflow.server", str(home), str(port)]


def server_command(home: Path, port: int) -> list[str]:
    """Return the command that serves MLflow on 127.0.0.1 from `home`/mlflow.

    Run it with `server_environment`, and `init_store` before the first time.
    """
    # The host check wants the port too.
    hosts = f"127.0.0.1:{port},localhost:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", hosts]
    command += ["--backend-store-uri", _store(home)]
    return [*command, "--artifacts-destination", str((_folder(home) / "artifacts").absolute())]


def server_environment() -> dict[str, str]:
    """Return the variables the server runs with; by default it is 15 processes and 3.4 GB."""
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def init_store(home: Path) -> None:
    """Create or upgrade the store's tables, alone: two at once would lock each other out.

    Done once per version of mlflow; costs nothing afterwards.

    Raises
    ------
    MlopsError
        The tables could not be made.
    """
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"store-{version('mlflow')}"
    with FileLock(folder / "store.lock"):
        if done.exists():
            return
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", _store(home)]
        upgrade = subprocess.run(command, capture_output=True, text=True)
        if upgrade.returncode:
            told = [line for line in upgrade.stderr.splitlines() if "Error" in line]
            raise MlopsError(
                f"MLflow's store {_store(home)} cannot be prepared: {told[-1] if told else 'no output'}.",
                remedy="Make sure that the folder can be written, and that no newer mlflow has used it.",
            )
        done.touch()


def _folder(home: Path) -> Path:
    return home / "mlflow"


def _store(home: Path) -> str:
    return f"sqlite:///{_folder(home).absolute() / 'mlflow.db'}"


if __name__ == "__main__":
    where, at = Path(sys.argv[1]), int(sys.argv[2])
    init_store(where)
    server = server_command(where, at)
    os.execv(server[0], server)
