"""Requests that mean harm, beside a client that asks for one row: memory, and the client's latency.

    .venv/bin/python benchmarks/hostile.py [seconds] [attack …]

Each attack of `tests/hostile.py` runs against a service of its own for some seconds. The service's memory is
sampled all the while, and wrk asks for one row over four connections, before the attack and during it. Goals:
at most 50 MB over the quiet service, the client's p99 at most twice what it was, no request of the client's
failed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from load import Load, ask

from mlops.adapters.targets.process import ProcessTarget
from mlops.deployment.rollout import Spec, wait_ready

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.hostile import ATTACKS, ROW, Memory, attacking
from tests.tiny import tiny_bundle

CONNECTIONS = 4
OVER_QUIET = 50
OVER_USUAL = 2.0


@dataclass(frozen=True)
class Seen:
    """The service's memory in MB, and the client's load, both quiet and under attack."""

    quiet: float
    peak: float
    usual: Load
    attacked: Load | None

    @property
    def over_quiet(self) -> float:
        """MB over the quiet service."""
        return self.peak - self.quiet

    @property
    def over_usual(self) -> float:
        """The client's p99 over what it was."""
        return self.attacked.p99 / self.usual.p99 if self.attacked else float("inf")


def attacked(folder: Path, name: str, seconds: int) -> Seen:
    """Attack a new service."""
    bundle = tiny_bundle(folder / "bundle")
    target = ProcessTarget(folder / "home")
    spec = Spec(id="d1", version="1", bundle=bundle.folder, digest=bundle.digest, log=folder / "log")
    serving = target.start(spec)
    wait_ready(target, serving, timeout=120)
    port = int(serving.address.rpartition(":")[2])
    process = psutil.Process(int(serving.ref.partition("@")[0]))
    url = f"{serving.address}/predict"
    usual = ask(url, ROW, connections=CONNECTIONS, seconds=seconds)
    quiet = process.memory_info().rss / 1e6
    load = None
    try:
        with Memory(process) as memory, attacking(port, name):
            time.sleep(1)
            with suppress(Exception):
                load = ask(url, ROW, connections=CONNECTIONS, seconds=seconds)
    finally:
        target.stop(serving, drain=0)
    return Seen(quiet, memory.peak, usual, load)


def main(seconds: int, names: list[str]) -> None:
    """Print a line an attack."""
    for name in names or ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            seen = attacked(Path(folder), name, seconds)
        failed = seen.attacked.failed if seen.attacked else "all"
        latency = f"p99 {seen.usual.p99:7.2f} ms, then {seen.attacked.p99 if seen.attacked else 0:7.2f}"
        kept = seen.over_quiet <= OVER_QUIET and seen.over_usual <= OVER_USUAL and failed == 0
        line = f"{name:<30} {seen.quiet:6.0f} MB {seen.over_quiet:+7.0f}   {latency}"
        times = f"({seen.over_usual:5.1f} times)"
        print(f"{line} {times}   {failed} failed   {'' if kept else '!'}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:])
