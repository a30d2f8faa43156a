"""Requests of one row, each answer logged, beside `mlflow models serve` and an app that says a constant.

    .venv/bin/python benchmarks/serve.py [seconds] [rounds]

One fitted model of the flights four ways: as our service has it compiled and as fitted, as MLflow serves
its skops file, and not at all. Each is one worker at its own port. Goals: over MLflow 60 times the answers at
1 connection and 100 times at 16, 3 times as fitted; the median at most 4 times the constant app's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import mlflow.sklearn
import pandas as pd
import psutil
from bare_train import TRUSTED
from load import Load, ask
from mlflow.models import infer_signature
from scratch import trained

from mlops.adapters.targets.process import ProcessTarget
from mlops.deployment.rollout import Spec, wait_ready
from mlops.files.ports import free_port
from mlops.model import bundle as bundles
from mlops.model.bundle import Bundle
from mlops.model.predictor import load_fitted

CONNECTIONS = (1, 16)
OVER_MLFLOW = {("compiled", 1): 60, ("compiled", 16): 100, ("fitted", 1): 3, ("fitted", 16): 3}
OVER_CONSTANT = 4
Seen = dict[tuple[str, int], list[tuple[Load, float]]]
"""By who answered and over how many connections: each round, and milliseconds of a processor per answer."""
CONSTANT = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    await request.body()
    return JSONResponse({"predictions": [False]})

async def ping(request):
    return JSONResponse({})

app = Starlette(routes=[Route("/invocations", answer, methods=["POST"]), Route("/ping", ping)])
settings = {"loop": "uvloop", "http": "httptools", "log_level": "warning", "access_log": False}
uvicorn.run(app, port=int(sys.argv[1]), **settings)
"""


def main(seconds: int, rounds: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        compiled = trained(folder / "project", 1, 2)
        addresses = {
            "compiled": stack.enter_context(ours(folder, "compiled", compiled)),
            "fitted": stack.enter_context(ours(folder, "fitted", uncompiled(compiled, folder / "fitted"))),
            "mlflow": stack.enter_context(theirs(folder, compiled)),
            "constant": stack.enter_context(process([sys.executable, "-c", CONSTANT])),
        }
        row = {name: compiled.golden["rows"][0][name] for name in compiled.schema.features}
        body = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
        for name, address in addresses.items():
            answer = httpx.post(f"{address}/invocations", json=body, trust_env=False, timeout=60)
            print(f"{name:<9} {answer.raise_for_status().text[:100]}")
        tell(measured(addresses, body, seconds=seconds, rounds=rounds))


def measured(addresses: Mapping[str, str], body: Any, *, seconds: int, rounds: int) -> Seen:
    """Ask each in turn, so that what else the machine does falls on all alike."""
    seen: Seen = {}
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for name, address in addresses.items():
                before = worked(address)
                load = ask(f"{address}/invocations", body, connections=connections, seconds=seconds)
                spent = 1000 * (worked(address) - before) / load.requests
                seen.setdefault((name, connections), []).append((load, spent))
    return seen


def worked(address: str) -> float:
    """Return the seconds of processor time that the process behind an address has had."""
    port = int(address.rpartition(":")[2])
    [pid] = {
        connection.pid
        for connection in psutil.net_connections("tcp4")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def tell(seen: Seen) -> None:
    """Print the medians of the rounds, and their ratios beside the goals.

    By processor time, too, which other work on the machine leaves nearly alone.
    """
    middle = {
        key: tuple(
            statistics.median(figures)
            for figures in zip(
                *((load.rate, load.median, load.p99, spent) for load, spent in times), strict=True
            )
        )
        for key, times in seen.items()
    }
    for (name, connections), (rate, median, p99, spent) in sorted(
        middle.items(), key=lambda item: item[0][1]
    ):
        failed = sum(load.failed for load, _ in seen[name, connections])
        line = f"{connections:>2} connections  {name:<9} {rate:8,.0f}/s  median {median:7.2f} ms"
        print(f"{line}  99% {p99:7.2f} ms  processor {spent:6.3f} ms  {failed} failed")
    for (name, connections), goal in OVER_MLFLOW.items():
        ours, theirs = middle[name, connections], middle["mlflow", connections]
        line = f"{name} over mlflow, {connections:>2} connections: {ours[0] / theirs[0]:6.1f} times"
        print(f"{line}, by processor time {theirs[3] / ours[3]:6.1f}   goal >= {goal}")
    for connections in CONNECTIONS:
        ours, theirs = middle["compiled", connections], middle["constant", connections]
        line = (
            f"median over the constant app's, {connections:>2} connections: {ours[1] / theirs[1]:4.2f} times"
        )
        print(f"{line}, by processor time {ours[3] / theirs[3]:4.2f}   goal <= {OVER_CONSTANT}")


@contextmanager
def ours(folder: Path, name: str, bundle: Bundle) -> Iterator[str]:
    """Serve a bundle by the process target."""
    target = ProcessTarget(folder / "home")
    spec = Spec(id=name, version="1", bundle=bundle.folder, digest=bundle.digest, log=folder / "log")
    serving = target.start(spec)
    try:
        wait_ready(target, serving, timeout=120)
        yield serving.address
    finally:
        target.stop(serving, drain=5)


def uncompiled(bundle: Bundle, folder: Path) -> Bundle:
    """Write the same bundle without its compiled model."""
    files = {name: bundle.read(name) for name in json.loads(bundle.read(bundles.MANIFEST))["files"]}
    del files["model.onnx"]
    told = {**bundle.model.to_dict(), "compiled": False, "why_not_compiled": "to be measured"}
    return bundles.write(folder, {**files, "model.json": bundles.to_json(told)})


@contextmanager
def theirs(folder: Path, bundle: Bundle) -> Iterator[str]:
    """Serve the same fitted model by `mlflow models serve`, in one process."""
    model = load_fitted(bundle.read("model.skops"), bundle.read("module.py"), trusted=())
    rows = pd.DataFrame(bundle.golden["rows"])[list(bundle.schema.features)]
    told = infer_signature(rows, model.predict(rows))
    plain = {"pip_requirements": ["scikit-learn"], "skops_trusted_types": TRUSTED}
    mlflow.sklearn.save_model(model, folder / "mlflow", signature=told, **plain)
    program = Path(sys.executable).with_name("mlflow")
    options = ["--env-manager", "local", "--workers", "1", "--host", "127.0.0.1"]
    with process(
        [program, "models", "serve", "--model-uri", folder / "mlflow", *options, "--port"]
    ) as address:
        yield address


@contextmanager
def process(command: list[object]) -> Iterator[str]:
    """Run a server whose last argument is its port, until it is no longer needed."""
    port = free_port()
    # MLflow's command starts others by their names.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    words = [str(word) for word in (*command, port)]
    # A session of its own: a server that starts others is ended with them.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=environment, start_new_session=True, **quiet) as running:
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", running)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(running.pid, 15)


def wait_for(url: str, running: subprocess.Popen[bytes]) -> None:
    """Return once a server answers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer")


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["8", "3"][len(sys.argv) - 1 :])))
