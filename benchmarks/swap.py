"""Redeployments while requests come: what fails, and what the swap costs those under way.

    .venv/bin/python benchmarks/swap.py [swaps]

Two services of one model take turns behind the gateway, each started, found ready and switched to as at a
deployment. Goals: no request failed in 100 swaps; the slowest hundredth at most twice as slow as between two.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from load import ask
from scratch import trained

from mlops.adapters.targets.process import ProcessTarget
from mlops.adapters.traefik import TraefikGateway
from mlops.deployment.rollout import Spec, swap
from mlops.files.ports import free_port

CONNECTIONS, PAUSE = 4, 20
STEADY = 20
GOAL = 2


def main(swaps: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = trained(folder / "project", 1, 2)
        target = ProcessTarget(folder / "home")
        gateway = TraefikGateway(folder / "gateway", port=free_port(), api_port=free_port())
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(gateway.command(), **quiet) as running:
            try:
                wait_for(gateway)
                body = {"rows": bundle.golden["rows"][:1]}
                spec = {
                    "version": "1",
                    "bundle": bundle.folder,
                    "digest": bundle.digest,
                    "log": folder / "log",
                }
                tell(target, gateway, spec, body, swaps)
            finally:
                for serving in target.running():
                    target.stop(serving, drain=1)
                running.terminate()


def tell(target: ProcessTarget, gateway: TraefikGateway, spec: dict, body: dict, swaps: int) -> None:
    """Ask a while with nothing going on, then while one service after another takes over."""
    url = f"http://127.0.0.1:{gateway.port}/predict"
    swap(target, gateway, Spec(id="0", **spec), timeout=120)
    steady = ask(url, body, connections=CONNECTIONS, seconds=STEADY, pause=PAUSE)
    seen, over = [], threading.Event()

    def asking() -> None:
        while not over.is_set():
            seen.append(ask(url, body, connections=CONNECTIONS, seconds=STEADY, pause=PAUSE))

    thread = threading.Thread(target=asking)
    thread.start()
    started = time.monotonic()
    try:
        for number in range(1, swaps + 1):
            swap(target, gateway, Spec(id=str(number), **spec), timeout=120)
        each = (time.monotonic() - started) / swaps
    finally:
        over.set()
        thread.join()
    requests, failed = sum(load.requests for load in seen), sum(load.failed for load in seen)
    slow = max(load.p99 for load in seen)
    print(f"{swaps} swaps of {each:.1f} s, {requests:,} requests, {failed} failed   goal 0")
    line = f"slowest hundredth: {steady.p99:.1f} ms steady, {slow:.1f} ms while they swap"
    print(f"{line}, {slow / steady.p99:.2f} times   goal <= {GOAL}")


def wait_for(gateway: TraefikGateway) -> None:
    """Return once the gateway answers."""
    for _ in range(300):
        try:
            httpx.get(f"http://127.0.0.1:{gateway.api_port}/api/version", trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the gateway did not answer")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
