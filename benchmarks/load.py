"""One request, asked over and over by wrk."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

__all__ = ["Load", "ask"]

_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [==[{body}]==]
"""
_PAUSE = "function delay() return {pause} end\n"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """What wrk saw: answers a second, latencies in milliseconds, and what was no answer."""

    rate: float
    median: float
    p99: float
    requests: int
    failed: int


def ask(url: str, body: Any, *, connections: int, seconds: int, pause: int = 0) -> Load:
    """Ask for some seconds over so many connections, each waiting `pause` milliseconds in between."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".lua") as script:
        script.write(_SCRIPT.format(body=json.dumps(body)) + (_PAUSE.format(pause=pause) if pause else ""))
        script.flush()
        extent = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command = ["wrk", *extent, "--latency", "-s", script.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def found(pattern: str) -> tuple[str, ...]:
        match = re.search(pattern, said)
        return match.groups() if match else ()

    (rate,), (requests,) = found(r"Requests/sec:\s+([\d.]+)"), found(r"(\d+) requests in")
    latency = {
        share: float(value) * _UNITS[unit]
        for share in (50, 99)
        for value, unit in [found(rf" {share}%\s+([\d.]+)(\w+)")]
    }
    broken = found(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
    refused = found(r"Non-2xx or 3xx responses: (\d+)")
    failed = sum(int(count) for count in (*broken, *refused))
    return Load(float(rate), latency[50], latency[99], int(requests), failed)
