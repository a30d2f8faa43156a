"""A source and a target that a project brings itself, as docs/extending.md tells to write them."""

SOURCE = '''"""Orders from a folder of JSON files, by their number."""

from pathlib import Path

import pandas as pd

from mlops.data.source import Fetched


class Journal:
    def __init__(self, context, *, folder):
        self.folder = context.root / folder

    def fetch(self, since, folder):
        for number, file in enumerate(sorted(self.folder.glob("*.json"))[since or 0 :], since or 0):
            table = Path(folder) / f"{file.stem}.parquet"
            pd.read_json(file, orient="records").to_parquet(table)
            yield Fetched(table, table.name, position=number + 1)
'''

TARGET = '''"""Services as plain children of this machine, one JSON file each."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

from mlops.deployment.rollout import Serving
from mlops.files.ports import free_port


class Bare:
    name = "bare"
    build_inputs = {}

    def __init__(self, context):
        self.home = context.home / "bare"

    def start(self, spec):
        for serving in self.running():
            if serving.id == spec.id:
                return serving
        self.home.mkdir(parents=True, exist_ok=True)
        spec.log.mkdir(parents=True, exist_ok=True)
        port = free_port()
        places = {"BUNDLE": spec.bundle, "LOG": spec.log, "HOST": "127.0.0.1", "PORT": port}
        environment = {f"MLOPS_{name}": str(value) for name, value in places.items()}
        with (self.home / f"{spec.id}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mlops.serving"],
                env={**os.environ, **spec.environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.returncode = 0  # it outlives this process, which does not wait for it
        address, pid = f"http://127.0.0.1:{port}", str(process.pid)
        serving = Serving(spec.id, spec.version, spec.digest, self.name, address, pid)
        (self.home / f"{spec.id}.json").write_text(json.dumps(asdict(serving)))
        return serving

    def running(self, *, unhealthy=False):
        files = sorted(self.home.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        known = [Serving(**json.loads(file.read_text())) for file in files]
        return [serving for serving in known if self._lives(int(serving.ref))]

    def stop(self, serving, *, drain):
        deadline = time.monotonic() + drain
        if self._lives(int(serving.ref)):
            os.kill(int(serving.ref), signal.SIGTERM)
        while self._lives(int(serving.ref)):
            if time.monotonic() > deadline:
                os.kill(int(serving.ref), signal.SIGKILL)
            time.sleep(0.02)
        (self.home / f"{serving.id}.json").unlink(missing_ok=True)

    def logs(self, serving):
        log = self.home / f"{serving.id}.log"
        return log.read_text()[-8192:] if log.is_file() else ""

    def prune(self, *, keep, dry=False):
        living = {serving.id for serving in self.running()}
        ended = [log for log in sorted(self.home.glob("*.log")) if log.stem not in living][:-keep]
        for log in ended if not dry else ():
            log.unlink()
        return [f"log {log.stem}" for log in ended]

    @staticmethod
    def _lives(pid):
        try:
            os.waitpid(pid, os.WNOHANG)  # reaps it where it is a child of this process
        except ChildProcessError:
            pass
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
'''
